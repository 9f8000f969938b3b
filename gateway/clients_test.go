package gateway

import (
	"context"
	"strings"
	"testing"
	"time"

	"sluice/gateway/access"
	"sluice/gateway/auth"
	"sluice/gateway/clientid"
	"sluice/mapping/failure"
	"sluice/mqtt/mqtttest"
	"sluice/mqtt/packet"
	"sluice/sessionstore"
)

// byName takes a user name for who the device is, as tenant/principal/credential.
type byName struct{ issued time.Time }

func (b byName) Authenticate(_ context.Context, a *access.Attempt) (*access.Principal, error) {
	if !a.HasUserName {
		return nil, access.ErrNotMine
	}
	parts := strings.Split(a.UserName, "/")
	return &access.Principal{Tenant: parts[0], Name: parts[1], Credential: parts[2], Source: "name", Issued: b.issued}, nil
}

func (b *bubble) named(issued time.Time) {
	b.auth = &auth.Chain{Methods: []auth.Method{
		{Name: "name", Authenticator: byName{issued}}, {Name: auth.MethodAnonymous, Authenticator: auth.Anonymous{}},
	}}
}

// is has a device say who it is.
func is(who string) func(*packet.Connect) {
	return func(p *packet.Connect) { p.HasUsername, p.Username = true, who }
}

// as connects a device and demands this answer, for MQTT 3.1.1 what goes for it.
func (n *bubbleNode) as(id string, v packet.Version, want packet.ReasonCode, options ...func(*packet.Connect)) (*mqtttest.Device, *packet.Connack) {
	n.t.Helper()
	c, err := n.devices.dial()
	if err != nil {
		n.t.Fatal(err)
	}
	d := mqtttest.New(n.t, c, v)
	silent := func(p *packet.Connect) { p.KeepAlive = 0 }
	ack := d.Connect(append([]func(*packet.Connect){mqtttest.Persistent(id, 3600), silent}, options...)...)
	if v == packet.V5 && ack.Reason != want || v == packet.V311 && ack.Reason.ConnackReturnCode() != want.ConnackReturnCode() {
		n.t.Fatalf("%q: CONNACK %v, want %v", id, ack.Reason, want)
	}
	if want.Failed() {
		d.ExpectClosed()
	}
	return d, ack
}

func clientRefusals() []provocation {
	refused := func(f *failure.Failure, name string, change func(*Options), before func(w *failing), options ...func(*packet.Connect)) provocation {
		return provocation{f, name, 0, change, func(w *failing) (*caller, *caller) {
			w.auth.Methods = []auth.Method{{Name: "name", Authenticator: byName{}}}
			if before != nil {
				before(w)
			}
			c := w.dial()
			c.connect("dev", options...)
			return c, nil
		}}
	}
	first := func(id string) func(w *failing) {
		return func(w *failing) { w.dial().connect(id, is("t/alice/1")) }
	}
	templates := func(o *Options) { o.Clients.Templates = templatesOf("{principal}-*") }
	revoke := func(w *failing) {
		r := sessionstore.Revocation{ID: "r", Tenant: "t", Principal: "alice", At: time.Now(), Until: time.Now().Add(time.Hour)}
		if err := w.store.PutRevocation(w.t.Context(), r); err != nil {
			w.t.Fatal(err)
		}
		w.pass(2 * time.Second)
	}
	return []provocation{
		refused(failure.ClientIDNotAllowed, "", templates, nil, is("t/alice/1")),
		refused(failure.ClientIDTaken, "", nil, first("dev"), is("t/mallory/1")),
		refused(failure.TooManyClients, "", func(o *Options) { o.Clients.Shared, o.Clients.PrincipalMax = true, 1 }, first("another"), is("t/alice/1")),
		refused(failure.CredentialBound, "", nil, first("another"), is("t/alice/1")),
		refused(failure.Revoked, " for CONNECT", nil, revoke, is("t/alice/1")),
		{failure: failure.Revoked, provoke: func(w *failing) (*caller, *caller) {
			w.auth.Methods = []auth.Method{{Name: "name", Authenticator: byName{}}}
			c := w.device(is("t/alice/1"))
			revoke(w)
			if err := w.store.RemoveRevocation(w.t.Context(), "r"); err != nil {
				w.t.Fatal(err)
			}
			w.pass(2 * time.Second)
			back := w.dial()
			back.connect("dev", is("t/alice/1"))
			return c, back
		}},
	}
}

// revoke puts a revocation for an hour into the store.
func (b *bubble) revoke(r sessionstore.Revocation) {
	b.t.Helper()
	r.ID = "r"
	r.At, r.Until = time.Now(), time.Now().Add(time.Hour)
	if err := b.store.PutRevocation(b.t.Context(), r); err != nil {
		b.t.Fatal(err)
	}
}

// A client identifier is its principal's, on every node, in one tenant.
func TestClientIdentifierHasOnePrincipal(t *testing.T) {
	for _, v := range []packet.Version{packet.V311, packet.V5} {
		t.Run(versionName(v), func(t *testing.T) {
			inBubble(t, func(b *bubble) {
				b.named(time.Time{})
				n, m := b.start("n", b.store), b.start("m", b.store)
				victim, _ := n.as("dev", v, packet.Success, is("default/alice/1"))
				victim.Subscribe("a", 1)
				for range 3 {
					for _, other := range []*bubbleNode{n, m} {
						other.as("dev", v, packet.ClientIDNotValid, is("default/mallory/1"))
						other.as("dev", v, packet.ClientIDNotValid) // anonymous
					}
				}
				elsewhere, _ := m.as("dev", v, packet.Success, is("tenant/mallory/1"))
				free, _ := m.as("free", v, packet.Success)
				for _, d := range []*mqtttest.Device{victim, elsewhere, free} {
					if r := d.Publish("a", []byte("x"), 1); r.Failed() {
						t.Errorf("a device that was there gets %v", r)
					}
				}
				victim.Collect(3)
				// It is its own, wherever it is.
				m.as("dev", v, packet.Success, is("default/alice/1"))
				if v == packet.V5 {
					mqtttest.Expect[*packet.Disconnect](victim)
				}
				victim.ExpectClosed()
			})
		})
	}
}

func TestCredentialHasOneClientIdentifier(t *testing.T) {
	inBubble(t, func(b *bubble) {
		b.named(time.Time{})
		n, m := b.start("n", b.store), b.start("m", b.store)
		n.as("dev", packet.V5, packet.Success, is("t/alice/1"))
		m.as("another", packet.V5, packet.NotAuthorized, is("t/alice/1"))
		m.as("another", packet.V311, packet.NotAuthorized, is("t/alice/1"))
		m.as("another", packet.V5, packet.Success, is("t/alice/2"))
		if err := b.store.Unbind(t.Context(), "t", "dev"); err != nil {
			t.Fatal(err)
		}
		m.as("third", packet.V5, packet.Success, is("t/alice/1"))

		b.change = func(o *Options) { o.Clients.Shared = true }
		shared := b.start("shared", b.store)
		for _, id := range []string{"s1", "s2", "s3"} {
			shared.as(id, packet.V5, packet.Success, is("t/alice/1"))
		}
		shared.as("s1", packet.V5, packet.ClientIDNotValid, is("t/mallory/1"))
	})
}

// What the server assigns fits the templates, so that the device can come back with it, and gives way to the next once it is not connected.
func TestAssignedClientIdentifier(t *testing.T) {
	inBubble(t, func(b *bubble) {
		b.named(time.Time{})
		b.change = func(o *Options) { o.Clients.Templates = templatesOf("{principal}", "{tenant}.{principal}.*") }
		n := b.start("n", b.store)
		first, ack := n.as("", packet.V5, packet.Success, is("t/alice/1"))
		id := ack.Properties.AssignedClientID
		if !strings.HasPrefix(id, "t.alice.") || len(id) < len("t.alice.")+26 {
			t.Fatalf("assigned is %q", id)
		}
		first.Subscribe("a", 1)
		n.as("", packet.V5, packet.NotAuthorized, is("t/alice/1")) // one credential, one client
		back, ack := n.as(id, packet.V5, packet.Success, is("t/alice/1"))
		if !ack.SessionPresent {
			t.Error("the session is not there for the identifier that was assigned")
		}
		n.as(id, packet.V5, packet.ClientIDNotValid, is("t/mallory/1"))
		back.Disconnect()
		time.Sleep(time.Second)
		_, ack = n.as("", packet.V5, packet.Success, is("t/alice/1"))
		if next := ack.Properties.AssignedClientID; next == id || !strings.HasPrefix(next, "t.alice.") {
			t.Errorf("assigned is %q after %q", next, id)
		}
		n.as("alice", packet.V5, packet.Success, is("t/alice/2"))
		n.as("bob", packet.V5, packet.ClientIDNotValid, is("t/alice/3"))
		_, ack = n.as("bob", packet.V5, packet.ClientIDNotValid, is("t/alice/3"))
		if want := "This client identifier is not allowed: it must be like {principal} or {tenant}.{principal}.*."; ack.Properties.ReasonString != want {
			t.Errorf("the device is told %q", ack.Properties.ReasonString)
		}
	})
	inBubble(t, func(b *bubble) {
		b.change = func(o *Options) { o.Clients.Templates = templatesOf("one", "{principal}") }
		n := b.start("n", b.store)
		_, ack := n.as("", packet.V5, packet.ClientIDNotValid)
		if want := "The server cannot make a client identifier; bring one that is like one or {principal}."; ack.Properties.ReasonString != want {
			t.Errorf("the device is told %q", ack.Properties.ReasonString)
		}
	})
}

// What a principal brings with it counts instead of the configuration's; what cannot be read lets nothing in.
func TestTemplatesOfAPrincipal(t *testing.T) {
	inBubble(t, func(b *bubble) {
		j := &judge{}
		b.auth = &auth.Chain{Methods: []auth.Method{{Name: "judge", Authenticator: j}}}
		b.change = func(o *Options) { o.Clients = Clients{Shared: true, Templates: templatesOf("{principal}-*")} }
		n := b.start("n", b.store)
		with := func(templates ...string) {
			j.set(func() {
				j.who = &access.Principal{Tenant: "t", Name: "alice", Source: "judge", ClientIDs: templates}
			})
		}
		with()
		n.as("alice-1", packet.V5, packet.Success)
		n.as("pump-1", packet.V5, packet.ClientIDNotValid)
		with("pump-*")
		n.as("alice-1", packet.V5, packet.ClientIDNotValid)
		n.as("pump-1", packet.V5, packet.Success)
		with("{broken")
		n.as("{broken", packet.V5, packet.ClientIDNotValid)
		n.as("", packet.V5, packet.ClientIDNotValid)
	})
}

func templatesOf(texts ...string) clientid.Templates {
	ts, err := clientid.ParseAll(texts)
	if err != nil {
		panic(err)
	}
	return ts
}

// A binding lasts as long as its connection, and after it for the time that was promised.
func TestBindingIsKept(t *testing.T) {
	inBubble(t, func(b *bubble) {
		b.named(time.Time{})
		b.change = func(o *Options) { o.Clients.Keep = 2 * time.Hour }
		n := b.start("n", b.store)
		d, _ := n.as("dev", packet.V5, packet.Success, mqtttest.Persistent("dev", 0), is("t/alice/1"))
		time.Sleep(24 * time.Hour)
		n.as("dev", packet.V5, packet.ClientIDNotValid, is("t/mallory/1"))
		d.Disconnect()
		time.Sleep(time.Hour)
		n.as("dev", packet.V5, packet.ClientIDNotValid, is("t/mallory/1"))
		time.Sleep(time.Hour)
		n.as("dev", packet.V5, packet.Success, is("t/mallory/1"))
	})
}

// An operator frees a client identifier and another takes it: who had it is told to go.
func TestBindingIsLost(t *testing.T) {
	inBubble(t, func(b *bubble) {
		b.named(time.Time{})
		n := b.start("n", b.store)
		old, _ := n.as("dev", packet.V5, packet.Success, is("t/alice/1"))
		if err := b.store.Unbind(t.Context(), "t", "dev"); err != nil {
			t.Fatal(err)
		}
		n.as("dev", packet.V5, packet.Success, is("t/bob/1"))
		old.SetTimeout(bindingsPause + bindingsRound)
		if r := mqtttest.Expect[*packet.Disconnect](old).Reason; r != packet.SessionTakenOver {
			t.Errorf("DISCONNECT %v", r)
		}
	})
}

// A revocation is in force on every node within five seconds, for who is there and for who comes.
func TestRevocation(t *testing.T) {
	for name, r := range map[string]sessionstore.Revocation{
		"principal":  {Tenant: "t", Principal: "alice"},
		"client id":  {Tenant: "t", ClientID: "dev"},
		"credential": {Credential: "1"},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(b *bubble) {
				b.named(time.Time{})
				nodes := []*bubbleNode{b.start("1", b.store), b.start("2", b.store), b.start("3", b.store)}
				revoked, _ := nodes[1].as("dev", packet.V5, packet.Success, is("t/alice/1"))
				old, _ := nodes[2].as("dev", packet.V311, packet.Success, is("u/carol/1"))
				bystander, _ := nodes[1].as("another", packet.V5, packet.Success, is("t/bob/2"))
				b.revoke(r)
				time.Sleep(5 * time.Second)
				if reason := mqtttest.Expect[*packet.Disconnect](revoked).Reason; reason != packet.NotAuthorized {
					t.Errorf("DISCONNECT %v", reason)
				}
				revoked.ExpectClosed()
				for _, n := range nodes {
					n.as("dev", packet.V5, packet.NotAuthorized, is("t/alice/1"))
					n.as("dev", packet.V311, packet.NotAuthorized, is("t/alice/1"))
				}
				if name == "credential" { // its name is the same in every tenant
					old.ExpectClosed()
				} else if r := old.Publish("a", nil, 1); r.Failed() {
					t.Errorf("one of another tenant gets %v", r)
				}
				if r := bystander.Publish("a", nil, 1); r.Failed() {
					t.Errorf("who is not meant gets %v", r)
				}

				b.named(time.Now().Add(time.Second)) // credentials that are newer
				b.start("4", b.store).as("dev", packet.V5, packet.Success, is("t/alice/1"))
				time.Sleep(time.Hour)
				for _, n := range nodes {
					n.as("dev", packet.V5, packet.Success, is("t/alice/1"))
				}
			})
		})
	}
}

// What was read of the list stays in force while the store is away.
func TestRevocationOutlivesTheStore(t *testing.T) {
	inBubble(t, func(b *bubble) {
		b.named(time.Time{})
		store := &faultyStore{Store: b.store}
		n := b.start("n", store)
		b.revoke(sessionstore.Revocation{Tenant: "t", Principal: "alice"})
		time.Sleep(5 * time.Second)
		store.set(func(s *faultyStore) { s.revocations = sessionstore.ErrUnavailable })
		if err := b.store.RemoveRevocation(t.Context(), "r"); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Minute)
		n.as("dev", packet.V5, packet.NotAuthorized, is("t/alice/1"))
		store.set(func(s *faultyStore) { s.revocations = nil })
		time.Sleep(5 * time.Second)
		n.as("dev", packet.V5, packet.Success, is("t/alice/1"))
	})
}
