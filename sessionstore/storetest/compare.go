package storetest

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"

	"sluice/sessionstore"
)

// Compare makes the same random calls on an oracle and a subject: every answer and everything stored must be equal. Epochs and incarnations
// are compared by the order in which they first appeared, as their values are each store's own.
func Compare(t *testing.T, oracle, subject Fresh) {
	left, right := oracle(t)(), subject(t)()
	rapid.Check(t, func(rt *rapid.T) {
		m := &model{rt: rt, t: t, left: side{s: left, epochs: numbers{}, incarnations: numbers{}, groups: numbers{}},
			right: side{s: right, epochs: numbers{}, incarnations: numbers{}, groups: numbers{}}, now: start, keys: []sessionstore.Key{newKey(), newKey()}}
		rt.Repeat(map[string]func(*rapid.T){
			"claim": m.claim, "write": m.write, "release": m.release, "get": m.get, "later": m.later, "due": m.due,
			"join": m.join, "leave": m.leave,
			"": m.check,
		})
		m.cleanUp()
	})
}

// numbers renames values by first appearance.
type numbers map[uint64]uint64

func (n numbers) name(v uint64) uint64 {
	if v == 0 {
		return 0
	}
	if _, ok := n[v]; !ok {
		n[v] = uint64(len(n) + 1)
	}
	return n[v]
}

type side struct {
	s                    sessionstore.Store
	epochs, incarnations numbers // of sessions
	groups               numbers // incarnations
	fences               []sessionstore.Fence
}

func (d *side) normal(s sessionstore.Session) sessionstore.Session {
	s.Epoch, s.Incarnation = d.epochs.name(s.Epoch), d.incarnations.name(s.Incarnation)
	return s
}

type model struct {
	rt          *rapid.T
	t           *testing.T
	left, right side
	now         time.Time
	keys        []sessionstore.Key
}

func (m *model) key(rt *rapid.T) sessionstore.Key { return rapid.SampledFrom(m.keys).Draw(rt, "key") }

func (m *model) later(rt *rapid.T) {
	m.now = m.now.Add(time.Duration(rapid.IntRange(0, 4_000_000).Draw(rt, "ms")) * time.Millisecond)
}

func (m *model) claim(rt *rapid.T) {
	req := sessionstore.ClaimRequest{
		Key: m.key(rt), Node: rapid.SampledFrom([]string{"a", "b"}).Draw(rt, "node"), Clean: rapid.IntRange(0, 3).Draw(rt, "clean") == 0,
		Expiry: rapid.SampledFrom([]uint32{0, 1000, 5000, 5000, sessionstore.NeverExpires}).Draw(rt, "expiry"), Now: m.now,
		Will: rapid.SampledFrom([]*sessionstore.Will{nil, {}, {Delay: 1000, Message: []byte("late")}}).Draw(rt, "will"),
	}
	do := func(d *side) sessionstore.Claimed {
		c, err := d.s.Claim(m.t.Context(), req)
		if err != nil {
			rt.Fatalf("Claim: %v", err)
		}
		d.fences = append(d.fences, fence(c))
		if c.Previous != nil {
			c.Previous.Epoch = d.epochs.name(c.Previous.Epoch)
		}
		if c.Discarded != nil {
			gone := d.normal(*c.Discarded)
			c.Discarded = &gone
		}
		c.Session = d.normal(c.Session)
		return c
	}
	equal(rt, "Claim", do(&m.left), do(&m.right))
}

// fence draws one of the last few: often the owner's, sometimes a stale one.
func (m *model) fence(rt *rapid.T) (int, bool) {
	n := len(m.left.fences)
	if n == 0 {
		return 0, false
	}
	return n - 1 - rapid.IntRange(0, min(n-1, 3)).Draw(rt, "fence"), true
}

func (m *model) write(rt *rapid.T) {
	i, ok := m.fence(rt)
	if !ok {
		return
	}
	ops := rapid.SliceOfN(anyOp, 0, 4).Draw(rt, "ops")
	do := func(d *side) string { return kind(write(m.t, d.s, d.fences[i], ops...)) }
	equal(rt, "Write", do(&m.left), do(&m.right))
}

func (m *model) release(rt *rapid.T) {
	i, ok := m.fence(rt)
	if !ok {
		return
	}
	req := sessionstore.ReleaseRequest{
		Now: m.now, End: rapid.IntRange(0, 3).Draw(rt, "end") == 0,
		Will: rapid.SampledFrom([]sessionstore.WillFate{sessionstore.WillKept, sessionstore.WillDropped}).Draw(rt, "fate"),
	}
	do := func(d *side) string {
		work, err := d.s.Release(m.t.Context(), d.fences[i], req)
		return fmt.Sprint(work, " ", kind(err))
	}
	equal(rt, "Release", do(&m.left), do(&m.right))
}

// due takes all there is and finishes it, as claims of work end by the store's own clock.
func (m *model) due(rt *rapid.T) {
	do := func(d *side) []sessionstore.Work {
		pieces, err := d.s.Due(m.t.Context(), 1000)
		if err != nil {
			rt.Fatalf("Due: %v", err)
		}
		for i := range pieces {
			w := &pieces[i]
			if err := d.s.Finish(m.t.Context(), *w); err != nil {
				rt.Fatalf("Finish: %v", err)
			}
		}
		slices.SortFunc(pieces, func(a, b sessionstore.Work) int {
			return cmp.Or(cmp.Compare(a.Key.ClientID, b.Key.ClientID), cmp.Compare(a.Epoch, b.Epoch), cmp.Compare(a.Inbox, b.Inbox),
				cmp.Compare(filterOf(a), filterOf(b)), cmp.Compare(a.Incarnation, b.Incarnation), cmp.Compare(len(a.Groups), len(b.Groups)))
		})
		for i := range pieces {
			w := &pieces[i]
			for _, filter := range w.Groups {
				g := sessionstore.Group{Tenant: w.Key.Tenant, Filter: filter}
				if _, err := d.s.Leave(m.t.Context(), g, sessionstore.Fence{Key: w.Key, Epoch: w.Epoch}); err != nil {
					rt.Fatalf("Leave: %v", err)
				}
			}
			incarnations := d.incarnations
			if w.Group != nil {
				incarnations = d.groups
			}
			w.Epoch, w.Incarnation, w.Token = d.epochs.name(w.Epoch), incarnations.name(w.Incarnation), ""
		}
		return pieces
	}
	if diff := gocmp.Diff(do(&m.left), do(&m.right), cmpopts.EquateEmpty()); diff != "" {
		rt.Fatalf("Due (-oracle +subject):\n%s", diff)
	}
}

func filterOf(w sessionstore.Work) string {
	if w.Group == nil {
		return ""
	}
	return w.Group.Filter
}

func (m *model) join(rt *rapid.T) {
	i, ok := m.fence(rt)
	if !ok {
		return
	}
	filter := anyShared.Draw(rt, "filter")
	do := func(d *side) string {
		f := d.fences[i]
		incarnation, err := d.s.Join(m.t.Context(), sessionstore.Group{Tenant: f.Key.Tenant, Filter: filter}, f)
		return fmt.Sprint(d.groups.name(incarnation), " ", kind(err))
	}
	equal(rt, "Join", do(&m.left), do(&m.right))
}

func (m *model) leave(rt *rapid.T) {
	i, ok := m.fence(rt)
	if !ok {
		return
	}
	filter := anyShared.Draw(rt, "filter")
	do := func(d *side) string {
		f := d.fences[i]
		work, err := d.s.Leave(m.t.Context(), sessionstore.Group{Tenant: f.Key.Tenant, Filter: filter}, f)
		return fmt.Sprint(work, " ", kind(err))
	}
	equal(rt, "Leave", do(&m.left), do(&m.right))
}

func (m *model) get(rt *rapid.T) { m.compare(rt, m.key(rt), m.now) }

// check runs after each call.
func (m *model) check(rt *rapid.T) {
	for _, key := range m.keys {
		m.compare(rt, key, m.now)
	}
}

func (m *model) compare(rt *rapid.T, key sessionstore.Key, now time.Time) {
	type got struct {
		Session sessionstore.Session
		Err     string
	}
	do := func(d *side) got {
		found, err := d.s.Get(m.t.Context(), key, now)
		return got{d.normal(found), kind(err)}
	}
	equal(rt, "Get", do(&m.left), do(&m.right))
}

// cleanUp removes the sessions and their work, so that a long run does not fill a store, nor the next one find it.
func (m *model) cleanUp() {
	for _, key := range m.keys {
		for _, d := range []*side{&m.left, &m.right} {
			c, err := d.s.Claim(m.t.Context(), sessionstore.ClaimRequest{Key: key, Node: "end", Clean: true, Now: m.now})
			if err == nil {
				_, err = d.s.Release(m.t.Context(), fence(c), sessionstore.ReleaseRequest{Now: m.now, End: true})
			}
			if err != nil {
				m.rt.Fatalf("removing %v: %v", key, err)
			}
		}
	}
	for range 2 { // the sessions', then that of the groups they left
		m.due(m.rt)
	}
}

// kind is which of the contract's errors this is: the words are each store's own.
func kind(err error) string {
	for _, k := range []error{
		sessionstore.ErrFenced, sessionstore.ErrNotFound, sessionstore.ErrFull, sessionstore.ErrInvalid, sessionstore.ErrUnavailable,
	} {
		if errors.Is(err, k) {
			return k.Error()
		}
	}
	return fmt.Sprint(err)
}

func equal(rt *rapid.T, what string, want, got any) {
	if diff := gocmp.Diff(want, got); diff != "" {
		rt.Fatalf("%s (-oracle +subject):\n%s", what, diff)
	}
}

// Few names, so that ops meet.
var (
	anyFilter = rapid.SampledFrom([]string{"", "a", "b/+", "12:x", "é%{}", "10:"})
	anyShared = rapid.SampledFrom([]string{"$share/g/a", "$share/h/a/#"})
	anyID     = rapid.SampledFrom([]uint16{0, 1, 2, 10, 65535})
	anyText   = rapid.SampledFrom([]string{"", "m", "\x00\xff", "1:2"})

	anyOp = rapid.OneOf(
		rapid.Custom(func(rt *rapid.T) sessionstore.Op {
			return sessionstore.PutSubscription{Subscription: sessionstore.Subscription{
				Filter: anyFilter.Draw(rt, "filter"), QoS: rapid.Byte().Draw(rt, "qos"), NoLocal: rapid.Bool().Draw(rt, "no local"),
				RetainAsPublished: rapid.Bool().Draw(rt, "rap"), RetainHandling: rapid.Byte().Draw(rt, "rh"), ID: rapid.Uint32().Draw(rt, "id"),
			}}
		}),
		rapid.Custom(func(rt *rapid.T) sessionstore.Op {
			return sessionstore.DeleteSubscription{Filter: anyFilter.Draw(rt, "filter")}
		}),
		rapid.Custom(func(rt *rapid.T) sessionstore.Op {
			return sessionstore.PutInbound{Record: sessionstore.Inbound{
				PacketID: anyID.Draw(rt, "id"), MessageID: anyText.Draw(rt, "message-id"), Accepted: rapid.Bool().Draw(rt, "accepted"),
			}}
		}),
		rapid.Custom(func(rt *rapid.T) sessionstore.Op {
			return sessionstore.AcceptInbound{PacketID: anyID.Draw(rt, "id"), MessageID: anyText.Draw(rt, "message-id")}
		}),
		rapid.Custom(func(rt *rapid.T) sessionstore.Op { return sessionstore.DeleteInbound{PacketID: anyID.Draw(rt, "id")} }),
		rapid.Custom(func(rt *rapid.T) sessionstore.Op {
			return sessionstore.PutOutbound{Record: sessionstore.Outbound{
				PacketID: anyID.Draw(rt, "id"), Identity: anyText.Draw(rt, "identity"), QoS: rapid.Byte().Draw(rt, "qos"),
				Released: rapid.Bool().Draw(rt, "released"), Done: rapid.Bool().Draw(rt, "done"), Order: rapid.Uint64().Draw(rt, "order"),
				Attempts: rapid.Uint8Range(0, sessionstore.MaxAttempts).Draw(rt, "attempts"),
			}}
		}),
		rapid.Custom(func(rt *rapid.T) sessionstore.Op { return sessionstore.DeleteOutbound{PacketID: anyID.Draw(rt, "id")} }),
		rapid.Custom(func(rt *rapid.T) sessionstore.Op { return sessionstore.SetInbox{Name: anyText.Draw(rt, "inbox")} }),
		rapid.Custom(func(rt *rapid.T) sessionstore.Op {
			return sessionstore.SetExpiry{Seconds: rapid.SampledFrom([]uint32{0, 2000, sessionstore.NeverExpires}).Draw(rt, "seconds")}
		}),
	)
)
