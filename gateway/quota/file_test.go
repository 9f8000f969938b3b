package quota

import (
	"context"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"sluice/gateway/reload"
)

const example = `
tenants:
  acme:
    connections: 5000
    publish_rate: 0
    principal: {connections: 2, publish_rate: 10}
    session: {max_packet_size: 1024}
    principals:
      line-7:
        connections: 50
        session: {receive_maximum: 20}
  empty:
`

func TestExceptions(t *testing.T) {
	e, err := parse([]byte(example))
	if err != nil {
		t.Fatal(err)
	}
	r := &Rules{Principal: Limits{Connections: 1, InFlight: 9}, Tenant: Limits{Connections: 100, PublishRate: 1000}, Exceptions: e}
	for _, c := range []struct {
		tenant, principal string
		ofTenant, of      Limits
		session           Session
	}{
		{"acme", "line-7", Limits{Connections: 5000}, Limits{Connections: 50, PublishRate: 10, InFlight: 9}, Session{ReceiveMaximum: 20, PacketSize: 1024}},
		{"acme", "other", Limits{Connections: 5000}, Limits{Connections: 2, PublishRate: 10, InFlight: 9}, Session{PacketSize: 1024}},
		{"empty", "line-7", r.Tenant, r.Principal, Session{}},
		{"default", "anonymous", r.Tenant, r.Principal, Session{}},
	} {
		if diff := cmp.Diff(c.ofTenant, r.tenantLimits(c.tenant)); diff != "" {
			t.Errorf("tenant %s: %s", c.tenant, diff)
		}
		if diff := cmp.Diff(c.of, r.principalLimits(c.tenant, c.principal)); diff != "" {
			t.Errorf("%s/%s: %s", c.tenant, c.principal, diff)
		}
		if diff := cmp.Diff(c.session, r.Session(c.tenant, c.principal)); diff != "" {
			t.Errorf("sessions of %s/%s: %s", c.tenant, c.principal, diff)
		}
	}
}

func TestFaultsOfAFile(t *testing.T) {
	for _, c := range []struct{ text, want string }{
		{"tenants: {a: {principals: {b: {conections: 1}}}}", `line 1: tenants.a.principals.b: unknown key "conections"; there are connect_rate, connections, in_flight,`},
		{"tenants:\n  a: {connections: many}\n  b: {session: {receive_maximum: yes}}", "line 2: tenants.a.connections: \"many\" is not a whole number\nline 3: "},
		{"tenants: {a: 5}", "line 1: tenants.a: keys belong below it, indented (connect_rate, "},
		{"tenants: 5", "line 1: tenants: keys belong below it, indented (names)"},
		{"tenant: {}", `line 1: the file: unknown key "tenant"; there are tenants`},
		{"tenants: {a: {principal: {in_flight: -1}}}", "tenants.a.principal.in_flight: -1 is not a whole number from 0 to 1000000000"},
		{"tenants: {a: {principals: {b: {session: {receive_maximum: 0}}}}}", "tenants.a.principals.b.session.receive_maximum: 0 is not"},
		{"- a", "docs/quotas.md"},
	} {
		if _, err := parse([]byte(c.text)); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v; want it to name %s", c.text, err, c.want)
		}
	}
	if e, err := parse(nil); err != nil || e.Tenants != nil {
		t.Errorf("an empty file: %v", err)
	}
}

// TestReload: what a file says newly is in force for connections that are open; a file that cannot be used changes nothing and is told once.
func TestReload(t *testing.T) {
	name := filepath.Join(t.TempDir(), "quotas.yaml")
	write := func(text string) {
		t.Helper()
		if err := os.WriteFile(name+".new", []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(name+".new", name); err != nil {
			t.Fatal(err)
		}
	}
	write("tenants: {t: {in_flight: 1}}")
	synctest.Test(t, func(t *testing.T) {
		file, exceptions, err := OpenFile(name)
		if err != nil {
			t.Fatal(err)
		}
		rules := Rules{}
		with := func(e *Exceptions) *Rules { return &Rules{Tenant: rules.Tenant, Exceptions: e} }
		b := NewBook(with(exceptions))
		faults := 0
		ctx, stop := context.WithCancel(t.Context())
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			file.Watch(ctx, func(e *Exceptions) { b.SetRules(with(e)) }, func(error) { faults++ })
		}()
		defer func() {
			stop()
			<-ended
		}()
		c, _ := b.Enter("t", "p")
		expect := func(what string, refused bool) {
			t.Helper()
			time.Sleep(2 * reload.Pause)
			synctest.Wait()
			if got := c.Publish(time.Now(), 1).Refused != nil; got != refused {
				t.Errorf("%s: refused %v, want %v", what, got, refused)
			}
		}
		expect("the first", false)
		expect("the second", true)
		write("tenants: {t: {in_flight: 2}}")
		expect("with a higher quota", false)
		write("tenants: [")
		expect("with a file that cannot be read", true)
		expect("still", true)
		if faults != 1 {
			t.Errorf("%d faults told, want 1", faults)
		}
		write("")
		expect("without a quota", false)
		expect("without a quota", false)
	})
}

// FuzzExceptions: a file is refused, or each quota that follows from it is one that the keys of the same name could have.
func FuzzExceptions(f *testing.F) {
	f.Add([]byte(example))
	f.Add([]byte("tenants: {a: {principals: {b: , c: {}}, session: }, b: {principal: {in_flight: 1}}}"))
	f.Add([]byte("a: &a {connections: 1}\ntenants: {t: *a}"))
	f.Fuzz(func(t *testing.T, b []byte) {
		e, err := parse(b)
		if err != nil {
			return
		}
		r := &Rules{Exceptions: e}
		for name, tenant := range e.Tenants {
			principals := []string{"somebody"}
			if tenant != nil {
				principals = slices.AppendSeq(principals, maps.Keys(tenant.Principals))
			}
			all := []Limits{r.tenantLimits(name)}
			for _, p := range principals {
				all = append(all, r.principalLimits(name, p))
				if s := r.Session(name, p); s.ReceiveMaximum > 65535 || s.PacketSize > 268435455 || min(s.ReceiveMaximum, s.PacketSize, s.Subscriptions) < 0 {
					t.Errorf("%s/%s has sessions of %+v", name, p, s)
				}
			}
			for _, l := range all {
				for _, v := range []int{l.Connections, l.ConnectRate, l.PublishRate, l.PublishBurst, l.PublishBytes, l.InFlight, l.Subscriptions} {
					if v < 0 || v > Most {
						t.Errorf("%s has %+v", name, l)
					}
				}
			}
		}
	})
}
