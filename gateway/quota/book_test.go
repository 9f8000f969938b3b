package quota

import (
	"testing"
	"time"

	"pgregory.net/rapid"
)

var begin = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

// held is a connection as the test knows it.
type held struct {
	c                       *Connection
	who                     owner
	inFlight, subscriptions int
	left                    bool
}

// TestModelBook: whatever connections do, no count is above its quota, unless it was lowered; and with the last connection everything is given back.
func TestModelBook(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		limits := func(name string) Limits {
			some := rapid.IntRange(0, 4)
			return Limits{Connections: some.Draw(t, name+" connections"), InFlight: some.Draw(t, name+" in flight"), Subscriptions: some.Draw(t, name+" subscriptions"),
				PublishRate: some.Draw(t, name+" rate"), ConnectRate: some.Draw(t, name+" connect rate")}
		}
		rules := &Rules{Principal: limits("principal"), Tenant: limits("tenant"), DelayMax: time.Duration(rapid.IntRange(0, 2).Draw(t, "delay")) * time.Second}
		b := NewBook(rules)
		m := &bookModel{t: t, book: b, rules: rules, now: begin}
		for range rapid.IntRange(1, 80).Draw(t, "steps") {
			m.step()
			m.check()
		}
		for _, h := range m.open {
			h.c.Close()
			h.c.Close() // does nothing more
		}
		b.sweep(m.now.Add(time.Hour))
		if p, t2 := b.Accounts(); p+t2 > 0 {
			t.Fatalf("%d principals and %d tenants are left", p, t2)
		}
	})
}

type bookModel struct {
	t     *rapid.T
	book  *Book
	rules *Rules
	now   time.Time
	open  []*held
}

// sum is what the connections have that a scope is about.
func (m *bookModel) sum(is func(owner) bool) (connections, inFlight, subscriptions int) {
	for _, h := range m.open {
		if is(h.who) {
			inFlight += h.inFlight
			subscriptions += h.subscriptions
			if !h.left {
				connections++
			}
		}
	}
	return
}

// room reports whether a count has room for one more in both scopes.
func (m *bookModel) room(who owner, count func(connections, inFlight, subscriptions int) int, limit func(Limits) int) bool {
	p := limit(m.rules.principalLimits(who.tenant, who.principal))
	t := limit(m.rules.tenantLimits(who.tenant))
	return (p == 0 || count(m.sum(func(o owner) bool { return o == who })) < p) &&
		(t == 0 || count(m.sum(func(o owner) bool { return o.tenant == who.tenant })) < t)
}

func (m *bookModel) step() {
	t := m.t
	m.now = m.now.Add(time.Duration(rapid.IntRange(0, 500).Draw(t, "ms")) * time.Millisecond)
	if len(m.open) == 0 || rapid.IntRange(0, 3).Draw(t, "enter") == 0 {
		m.enter(owner{rapid.SampledFrom([]string{"t", "u"}).Draw(t, "tenant"), rapid.SampledFrom([]string{"a", "b"}).Draw(t, "principal")})
		return
	}
	i := rapid.IntRange(0, len(m.open)-1).Draw(t, "which")
	h := m.open[i]
	switch rapid.IntRange(0, 5).Draw(t, "what") {
	case 0:
		c := h.c.Publish(m.now, 1)
		room := m.room(h.who, func(_, n, _ int) int { return n }, func(l Limits) int { return l.InFlight })
		if c.Counted && !room || c.Refused != nil && c.Refused.Kind == InFlight && room {
			t.Fatalf("%+v, and there is room: %v", c, room)
		}
		if c.Counted {
			h.inFlight++
		}
		if c.Pause > m.rules.DelayMax || c.Refused != nil && c.Pause != m.rules.DelayMax {
			t.Fatalf("%+v; the longest pause is %v", c, m.rules.DelayMax)
		}
	case 1:
		n := rapid.IntRange(0, h.inFlight).Draw(t, "answered")
		h.c.Answered(n)
		h.inFlight -= n
	case 2:
		hit := h.c.Subscribe(h.subscriptions)
		if room := m.room(h.who, func(_, _, n int) int { return n }, func(l Limits) int { return l.Subscriptions }); (hit == nil) != room {
			t.Fatalf("%+v, and there is room: %v", hit, room)
		}
		if hit == nil {
			h.subscriptions++
		}
	case 3:
		h.subscriptions = rapid.IntRange(0, h.subscriptions).Draw(t, "subscriptions")
		h.c.Subscribed(h.subscriptions)
	case 4:
		h.c.Leave()
		h.left = true
	case 5:
		h.c.Close()
		m.open = append(m.open[:i], m.open[i+1:]...)
	}
}

func (m *bookModel) enter(who owner) {
	m.book.Arrive(m.now, who.tenant, who.principal)
	room := m.room(who, func(n, _, _ int) int { return n }, func(l Limits) int { return l.Connections })
	c, hit := m.book.Enter(who.tenant, who.principal)
	if (hit == nil) != room {
		m.t.Fatalf("%+v, and there is room: %v", hit, room)
	}
	if hit == nil {
		m.open = append(m.open, &held{c: c, who: who})
	}
}

// check compares the accounts with what the connections have.
func (m *bookModel) check() {
	compare := func(a *account, is func(owner) bool) {
		connections, inFlight, subscriptions := m.sum(is)
		if a == nil && connections+inFlight+subscriptions == 0 {
			return // forgotten
		}
		if a.connections != connections || a.inFlight != inFlight || a.subscriptions != subscriptions {
			m.t.Fatalf("%s: %d connections, %d under way, %d subscriptions; want %d, %d, %d", a.scope, a.connections, a.inFlight, a.subscriptions,
				connections, inFlight, subscriptions)
		}
	}
	for _, tenant := range []string{"t", "u"} {
		compare(m.book.tenants[tenant], func(o owner) bool { return o.tenant == tenant })
		for _, principal := range []string{"a", "b"} {
			who := owner{tenant, principal}
			compare(m.book.principals[who], func(o owner) bool { return o == who })
		}
	}
}

// TestRateOfPublish: a principal publishes as fast as it can, from many connections. What passes is the burst, what flows, and what was lent.
func TestRateOfPublish(t *testing.T) {
	const rate, burst, connections, seconds = 100, 50, 400, 10
	delay := 2 * time.Second
	b := NewBook(&Rules{Principal: Limits{PublishRate: rate, PublishBurst: burst}, DelayMax: delay})
	type sender struct {
		c    *Connection
		next time.Time
	}
	senders := make([]sender, connections)
	for i := range senders {
		c, hit := b.Enter("t", "p")
		if hit != nil {
			t.Fatal(hit.Sentence())
		}
		senders[i] = sender{c, begin}
	}
	passed, refused := 0, 0
	for now := begin; now.Before(begin.Add(seconds * time.Second)); now = now.Add(time.Millisecond) {
		for i := range senders {
			s := &senders[i]
			if now.Before(s.next) {
				continue
			}
			charge := s.c.Publish(now, 1)
			s.next = now.Add(max(charge.Pause, time.Millisecond))
			if charge.Refused != nil {
				refused++
			} else {
				passed++
				s.c.Answered(1)
			}
		}
	}
	least, most := burst+rate*(seconds-1), burst+rate*seconds+int(delay.Seconds()*rate)+1
	if passed < least || passed > most {
		t.Errorf("%d messages passed in %d seconds, want %d to %d", passed, seconds, least, most)
	}
	// Each connection is paused for the whole delay when it is refused, so that refusals cost little.
	if most := connections * seconds / int(delay.Seconds()); refused == 0 || refused > most {
		t.Errorf("%d messages refused, want some, and at most %d", refused, most)
	}
}

// TestOneConnectionIsOnlySlowed: alone on its quota a connection is never refused, at whatever speed it sends.
func TestOneConnectionIsOnlySlowed(t *testing.T) {
	b := NewBook(&Rules{Principal: Limits{PublishRate: 10, PublishBytes: 1000}, DelayMax: 2 * time.Second})
	c, _ := b.Enter("t", "p")
	now, passed := begin, 0
	for now.Before(begin.Add(20 * time.Second)) {
		charge := c.Publish(now, 100)
		if charge.Refused != nil {
			t.Fatalf("after %v: %s", now.Sub(begin), charge.Refused.Sentence())
		}
		passed++
		now = now.Add(charge.Pause)
	}
	if passed < 205 || passed > 215 {
		t.Errorf("%d messages in 20 s at 10 a second", passed)
	}
}

// TestTenantsAreApart: one tenant's account says nothing about another's, and one principal's nothing about the tenant's others.
func TestTenantsAreApart(t *testing.T) {
	b := NewBook(&Rules{Tenant: Limits{Connections: 2}, Principal: Limits{Connections: 1}})
	enter := func(tenant, principal string) string {
		if _, hit := b.Enter(tenant, principal); hit != nil {
			return hit.Sentence()
		}
		return ""
	}
	const (
		ofPrincipal = "The quota of this principal is used up: 1 connections (quota.principal.connections)."
		ofTenant    = "The quota of this tenant is used up: 2 connections (quota.tenant.connections)."
	)
	for _, c := range []struct{ tenant, principal, want string }{
		{"t", "a", ""}, {"t", "a", ofPrincipal}, {"t", "b", ""}, {"t", "c", ofTenant}, {"u", "a", ""}, {"u", "c", ""},
	} {
		if got := enter(c.tenant, c.principal); got != c.want {
			t.Errorf("%s/%s: %q, want %q", c.tenant, c.principal, got, c.want)
		}
	}
}

// TestReconnectingDoesNotEmptyTheBucket: the account of a principal without connections is kept while its bucket is not full.
func TestReconnectingDoesNotEmptyTheBucket(t *testing.T) {
	b := NewBook(&Rules{Principal: Limits{PublishRate: 1, PublishBurst: 60}, DelayMax: time.Second})
	publish := func(now time.Time) (refused bool) {
		t.Helper()
		if hit := b.Arrive(now, "t", "p"); hit != nil {
			t.Fatal(hit.Sentence())
		}
		c, _ := b.Enter("t", "p")
		defer c.Close()
		for range 60 {
			refused = c.Publish(now, 1).Refused != nil
		}
		return refused
	}
	if publish(begin) {
		t.Error("the burst is refused")
	}
	if !publish(begin.Add(2 * sweepPause)) {
		t.Error("with a new connection there is a new burst")
	}
	b.Arrive(begin.Add(time.Hour), "other", "other")
	if p, n := b.Accounts(); p != 1 || n != 1 {
		t.Errorf("%d principals and %d tenants are left, want those of the new connection", p, n)
	}
}
