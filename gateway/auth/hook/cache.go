package hook

import (
	"container/list"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"sync"
	"time"
)

// cache keeps answers for as long as they say. Beyond cacheMax the one that has not been used for longest goes.
type cache struct {
	secret [32]byte

	mu    sync.Mutex
	byKey map[fingerprint]*list.Element
	order list.List // of *kept; the latest used in front
}

// fingerprint stands for a question. It is made with a secret: a dump of the memory is no list of hashes to try passwords on.
type fingerprint [sha256.Size]byte

type kept struct {
	key     fingerprint
	verdict *verdict
	until   time.Time
}

func newCache() *cache {
	c := &cache{byKey: map[fingerprint]*list.Element{}}
	_, _ = rand.Read(c.secret[:]) // never fails (crypto/rand)
	return c
}

func (c *cache) fingerprint(question []byte) (f fingerprint) {
	h := hmac.New(sha256.New, c.secret[:])
	h.Write(question)
	h.Sum(f[:0])
	return f
}

// find gives the answer to a question, nil when there is none any more.
func (c *cache) find(f fingerprint, now time.Time) *verdict {
	c.mu.Lock()
	defer c.mu.Unlock()
	e := c.byKey[f]
	if e == nil {
		return nil
	}
	k := e.Value.(*kept)
	if !now.Before(k.until) {
		c.remove(e)
		return nil
	}
	c.order.MoveToFront(e)
	return k.verdict
}

func (c *cache) keep(f fingerprint, v *verdict, now time.Time) {
	if v.keep <= 0 {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if e := c.byKey[f]; e != nil {
		c.remove(e)
	}
	if len(c.byKey) >= cacheMax {
		c.remove(c.order.Back())
	}
	c.byKey[f] = c.order.PushFront(&kept{f, v, now.Add(v.keep)})
}

func (c *cache) remove(e *list.Element) {
	delete(c.byKey, c.order.Remove(e).(*kept).key)
}
