package password

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"sync"
	"time"
)

// proven remembers for a short time which passwords were right, as MACs that nothing can be made of outside of this process. A MAC is over the line of the file too, so that one of
// before a change is worth nothing.
type proven struct {
	key [32]byte

	mu    sync.Mutex
	began time.Time // of the newer
	newer map[mac]struct{}
	older map[mac]struct{}
}

type mac [sha256.Size]byte

func newProven() *proven {
	p := &proven{}
	_, _ = rand.Read(p.key[:]) // never fails (crypto/rand)
	return p
}

// of gives the MAC of a password for a user.
func (p *proven) of(u *user, password []byte) (m mac) {
	h := hmac.New(sha256.New, p.key[:])
	h.Write(binary.BigEndian.AppendUint64(nil, uint64(len(u.line))))
	h.Write([]byte(u.line))
	h.Write(password)
	h.Sum(m[:0])
	return m
}

func (p *proven) has(now time.Time, m mac) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.turn(now)
	_, inNewer := p.newer[m]
	_, inOlder := p.older[m]
	return inNewer || inOlder
}

func (p *proven) add(now time.Time, m mac) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.turn(now)
	if len(p.newer) >= provenMax {
		p.begin(now)
	}
	p.newer[m] = struct{}{}
}

// turn begins a new period when it is time.
func (p *proven) turn(now time.Time) {
	switch age := now.Sub(p.began); {
	case age >= 2*provenPeriod:
		p.begin(now)
		p.older = nil
	case age >= provenPeriod:
		p.begin(p.began.Add(provenPeriod))
	}
}

func (p *proven) begin(now time.Time) {
	p.began, p.older, p.newer = now, p.newer, map[mac]struct{}{}
}
