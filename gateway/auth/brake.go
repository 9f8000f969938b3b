package auth

import (
	"container/list"
	"net/netip"
	"strings"
	"sync"
	"time"

	"sluice/gateway/access"
)

// Brake slows down those who guess. It counts failures by address and user name together, by user name, and by address. The first delays answers; from a number of
// failures on, each of them lets an attempt be judged only now and then.
//
// A device that shares an address with others that fail is not refused for it once it was right there; nor is one whose user name somebody else guesses at elsewhere. A nil *Brake slows
// nobody. It may be used by many at once.
type Brake struct {
	mu        sync.Mutex
	pairs     counts[pair]
	names     counts[string]
	addresses counts[netip.Addr]
}

// NewBrake gives a Brake that has seen nothing.
func NewBrake() *Brake {
	return &Brake{
		pairs:     counts[pair]{free: pairFree, pause: pairPause},
		names:     counts[string]{free: nameFree, pause: namePause},
		addresses: counts[netip.Addr]{free: addressFree, pause: addressPause},
	}
}

type pair struct {
	address netip.Addr
	name    string
}

// keyOf is whose failures are counted together. An IPv6 host has a whole network of 64 bits to choose addresses from.
func keyOf(a *access.Attempt) pair {
	address := a.Remote.Unmap().WithZone("")
	if address.Is6() {
		network, _ := address.Prefix(64) // fails for other lengths only
		address = network.Addr()
	}
	return pair{address, strings.Clone(a.UserName[:min(len(a.UserName), nameMax)])}
}

// Allows reports whether Ask would allow an attempt.
func (b *Brake) Allows(now time.Time, a *access.Attempt) bool {
	if b == nil {
		return true
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.allows(now, keyOf(a))
}

// Ask reports whether an attempt may be judged now, and takes the turn. Whoever spends time on judging a secret that can be guessed asks before, and refuses with ReasonSlowed.
func (b *Brake) Ask(now time.Time, a *access.Attempt) bool {
	if b == nil {
		return true
	}
	k := keyOf(a)
	b.mu.Lock()
	defer b.mu.Unlock()
	if !b.allows(now, k) {
		return false
	}
	b.pairs.taken(now, k)
	if !b.known(now, k) {
		b.names.taken(now, k.name)
		b.addresses.taken(now, k.address)
	}
	return true
}

func (b *Brake) allows(now time.Time, k pair) bool {
	return b.pairs.allows(now, k) && (b.known(now, k) || b.names.allows(now, k.name) && b.addresses.allows(now, k.address))
}

// known: this user name was right at this address.
func (b *Brake) known(now time.Time, k pair) bool {
	c := b.pairs.find(now, k)
	return c != nil && c.good
}

// Failed counts a failure, and says how late the answer is to be.
func (b *Brake) Failed(now time.Time, a *access.Attempt) (delay time.Duration) {
	if b == nil {
		return 0
	}
	k := keyOf(a)
	b.mu.Lock()
	defer b.mu.Unlock()
	n := b.pairs.failed(now, k)
	b.addresses.failed(now, k.address)
	if k.name != "" {
		b.names.failed(now, k.name)
	}
	return min(delayFirst<<min(n-1, 16), delayMax)
}

// Noted says how late the answer to a failure is to be that is no guess, and counts for nobody: as late as that to a first one, so that a device which comes back at once
// does so a few times a second.
func (b *Brake) Noted() (delay time.Duration) {
	if b == nil {
		return 0
	}
	return delayFirst
}

// Succeeded forgets the failures of this user name at this address. Those of others stay.
func (b *Brake) Succeeded(now time.Time, a *access.Attempt) {
	if b == nil {
		return
	}
	k := keyOf(a)
	b.mu.Lock()
	defer b.mu.Unlock()
	b.pairs.succeeded(now, k)
}

// counts are the failures of one kind of culprit, the newest in front of order. Each is in both or in none.
type counts[K comparable] struct {
	free  int
	pause time.Duration
	byKey map[K]*list.Element
	order list.List // of *count[K]
}

type count[K comparable] struct {
	key      K
	failures int
	good     bool      // it has succeeded, too
	last     time.Time // when it failed or succeeded last
	next     time.Time // not judged before, above free failures
}

// find gives what is known, nil when nothing is.
func (c *counts[K]) find(now time.Time, k K) *count[K] {
	e := c.byKey[k]
	if e == nil {
		return nil
	}
	n := e.Value.(*count[K])
	if now.Sub(n.last) >= forgetAfter {
		n.failures = 0
	}
	return n
}

func (c *counts[K]) allows(now time.Time, k K) bool {
	n := c.find(now, k)
	return n == nil || n.failures < c.free || !now.Before(n.next)
}

// taken: an attempt is judged now, so the next has to wait.
func (c *counts[K]) taken(now time.Time, k K) {
	if n := c.find(now, k); n != nil && n.failures >= c.free {
		n.next = now.Add(c.pause)
	}
}

func (c *counts[K]) failed(now time.Time, k K) (failures int) {
	n := c.note(now, k)
	n.failures++
	return n.failures
}

func (c *counts[K]) succeeded(now time.Time, k K) {
	n := c.note(now, k)
	n.failures, n.good, n.next = 0, true, time.Time{}
}

// note gives the entry of k, in front and with the time.
func (c *counts[K]) note(now time.Time, k K) *count[K] {
	n := c.find(now, k)
	if n == nil {
		if len(c.byKey) >= countsMax {
			c.remove(c.order.Back())
		}
		if c.byKey == nil {
			c.byKey = map[K]*list.Element{}
		}
		n = &count[K]{key: k}
		c.byKey[k] = c.order.PushFront(n)
	} else {
		c.order.MoveToFront(c.byKey[k])
	}
	n.last = now
	return n
}

func (c *counts[K]) remove(e *list.Element) {
	delete(c.byKey, c.order.Remove(e).(*count[K]).key)
}
