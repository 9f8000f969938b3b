package gateway

import (
	"context"
	"net"
	"net/netip"
	"sync"
	"testing"

	"sluice/gateway/access"
	"sluice/gateway/auth"
	"sluice/mapping/failure"
	"sluice/mqtt/packet"
)

// openToAll is the chain of a listener that lets everybody in.
func openToAll() *auth.Chain {
	return &auth.Chain{Methods: []auth.Method{{Name: auth.MethodAnonymous, Authenticator: auth.Anonymous{Everyone: true}}}}
}

// judge is an authenticator that says what it is told to.
type judge struct {
	mu   sync.Mutex
	who  *access.Principal // nil: one that is called "judged"
	err  error
	gone error
	seen []access.Attempt
}

func (j *judge) Authenticate(_ context.Context, a *access.Attempt) (*access.Principal, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.seen = append(j.seen, *a)
	switch {
	case j.err != nil:
		return nil, j.err
	case j.who != nil:
		return j.who, nil
	}
	return &access.Principal{Tenant: access.DefaultTenant, Name: "judged", Source: "judge"}, nil
}

func (j *judge) Holds(*access.Principal) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.gone
}

func (j *judge) set(change func()) {
	j.mu.Lock()
	defer j.mu.Unlock()
	change()
}

// refusedAs is a device whose attempt ends with an error.
func refusedAs(f *failure.Failure, err error) provocation {
	return provocation{failure: f, provoke: func(w *failing) (*caller, *caller) {
		w.auth.Methods = []auth.Method{{Name: "judge", Authenticator: &judge{err: err}}}
		c := w.dial()
		c.connect("dev", func(p *packet.Connect) {
			p.HasUsername, p.Username, p.HasPassword, p.Password = true, "u", true, []byte("secret")
		})
		return c, nil
	}}
}

func TestAddressOf(t *testing.T) {
	for _, c := range []struct {
		addr net.Addr
		want netip.Addr
	}{
		{&net.TCPAddr{IP: net.IPv4(10, 0, 0, 1), Port: 5}, netip.MustParseAddr("10.0.0.1")},
		{&net.TCPAddr{IP: net.ParseIP("::ffff:10.0.0.1"), Port: 5}, netip.MustParseAddr("10.0.0.1")},
		{&net.TCPAddr{IP: net.ParseIP("fe80::1"), Zone: "eth0"}, netip.MustParseAddr("fe80::1")},
		{&net.UnixAddr{Name: "/a", Net: "unix"}, netip.Addr{}},
	} {
		if got := addressOf(c.addr); got != c.want {
			t.Errorf("%v: %v, want %v", c.addr, got, c.want)
		}
	}
}
