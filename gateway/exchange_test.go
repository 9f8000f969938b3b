package gateway

import (
	"bytes"
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"sluice/gateway/access"
	"sluice/gateway/auth"
	"sluice/mapping/failure"
	"sluice/mqtt/mqtttest"
	"sluice/mqtt/packet"
	"sluice/sessionstore"
)

// tokenMethod is the Authentication Method of these tests.
const tokenMethod = "OAUTH2-JWT"

// passing is a principal that expires.
func passing(after time.Duration) *access.Principal {
	return &access.Principal{Tenant: access.DefaultTenant, Name: "judged", Source: "judge", Expires: time.Now().Add(after)}
}

// withMethod has a CONNECT begin an enhanced authentication.
func withMethod(data string) func(*packet.Connect) {
	return func(p *packet.Connect) {
		p.Properties.SetAuthMethod(tokenMethod)
		p.Properties.SetAuthData([]byte(data))
	}
}

// idle: the device may be silent for ever.
func idle(p *packet.Connect) { p.KeepAlive = 0 }

// again is the AUTH that begins a re-authentication.
func again(data string) *packet.Auth {
	p := &packet.Auth{Reason: packet.ReAuthenticate}
	p.Properties.SetAuthMethod(tokenMethod)
	p.Properties.SetAuthData([]byte(data))
	return p
}

func offersMethod(o *Options) { o.Bridge.Session.AuthMethods = []string{tokenMethod} }

// againRefusedAs is a re-authentication that ends with an error, or without one, in which case it shows somebody else.
func againRefusedAs(f *failure.Failure, name string, err error) provocation {
	return provocation{f, name, packet.V5, offersMethod, func(w *failing) (*caller, *caller) {
		j := &judge{}
		w.auth.Methods = []auth.Method{{Name: "judge", Authenticator: j}}
		c := w.device(withMethod("first"))
		j.set(func() {
			j.err = err
			j.who = &access.Principal{Tenant: access.DefaultTenant, Name: "secret", Source: "judge"}
		})
		c.say(again("second"))
		w.pass(10 * time.Second) // the answer to a failure may be late
		j.set(func() { j.err, j.who = nil, nil })
		return c, w.back()
	}}
}

// judged runs a node whose devices are judged by j, and that offers tokenMethod.
func judged(t *testing.T, run func(b *bubble, n *bubbleNode, j *judge)) {
	inBubble(t, func(b *bubble) {
		j := &judge{}
		b.auth = &auth.Chain{Methods: []auth.Method{{Name: "judge", Authenticator: j}}}
		b.change = offersMethod
		run(b, b.start("n1", b.store), j)
	})
}

// joins connects a device with options beside those of a session that persists.
func (n *bubbleNode) joins(id string, v packet.Version, options ...func(*packet.Connect)) (*mqtttest.Device, *packet.Connack) {
	n.t.Helper()
	c, err := n.devices.dial()
	if err != nil {
		n.t.Fatal(err)
	}
	d := mqtttest.New(n.t, c, v)
	return d, d.Connect(append([]func(*packet.Connect){mqtttest.Persistent(id, 3600)}, options...)...)
}

// A device authenticates by CONNECT with a method, and again as often as it likes. What it shows reaches the authenticator as it is.
func TestEnhancedAuthentication(t *testing.T) {
	judged(t, func(_ *bubble, n *bubbleNode, j *judge) {
		d, connack := n.joins("dev", packet.V5, withMethod("first"), func(p *packet.Connect) { p.HasUsername, p.Username = true, "u" })
		if connack.Reason != packet.Success || connack.Properties.AuthMethod != tokenMethod {
			t.Fatalf("CONNACK %v, method %q", connack.Reason, connack.Properties.AuthMethod) // [MQTT-4.12.0-5]
		}
		var last time.Time
		for i := range 3 {
			d.Send(again("second"))
			if a := mqtttest.Expect[*packet.Auth](d); a.Reason != packet.Success || a.Properties.AuthMethod != tokenMethod {
				t.Errorf("AUTH %v, method %q", a.Reason, a.Properties.AuthMethod)
			}
			if since := time.Since(last); i > 0 && since != renewPause {
				t.Errorf("renewed again after %v, want %v: what is shown is judged each time", since, renewPause)
			}
			last = time.Now()
		}
		d.Publish("a", nil, 1)
		first, second := j.seen[0], j.seen[1]
		if len(j.seen) != 4 || first.ClientID != "dev" || first.UserName != "u" || first.Method != tokenMethod || string(first.Data) != "first" || first.Before != nil {
			t.Errorf("asked of CONNECT: %+v", first)
		}
		if second.ClientID != "dev" || string(second.Data) != "second" || second.Before == nil || second.Before.Name != "judged" {
			t.Errorf("asked of AUTH: %+v", second)
		}
		d.Disconnect()
	})
}

// A CONNECT whose enhanced authentication fails is answered with the reason.
func TestEnhancedAuthenticationThatFails(t *testing.T) {
	for _, c := range []struct {
		err  error
		want packet.ReasonCode
	}{
		{&access.Refused{Reason: "token-expired"}, packet.NotAuthorized},
		{access.ErrNotMine, packet.NotAuthorized},
		{errors.New("the issuer is away"), packet.ServerUnavailable},
	} {
		judged(t, func(_ *bubble, n *bubbleNode, j *judge) {
			j.err = c.err
			d, connack := n.joins("dev", packet.V5, withMethod("x"))
			if connack.Reason != c.want {
				t.Errorf("%v: CONNACK %v, want %v", c.err, connack.Reason, c.want)
			}
			d.ExpectClosed()
		})
	}
}

// At the end of its principal the connection is closed, though not its session; its Will is published. A device that never expires stays.
func TestThePrincipalExpires(t *testing.T) {
	for _, v := range []packet.Version{packet.V311, packet.V5} {
		judged(t, func(b *bubble, n *bubbleNode, j *judge) {
			j.who = &access.Principal{Tenant: access.DefaultTenant, Name: "watcher", Source: "judge"}
			watcher, _ := n.joins("watcher", packet.V5)
			watcher.Subscribe("will", 1)
			j.set(func() { j.who = passing(time.Minute) })
			d, _ := n.joins("dev", v, func(p *packet.Connect) { p.Will = &packet.Will{Topic: "will", Payload: []byte("gone"), QoS: 1} })
			d.Subscribe("cmd", 1)
			time.Sleep(time.Minute - time.Second)
			d.Publish("a", nil, 1)
			time.Sleep(time.Second)
			if v == packet.V5 {
				if p := mqtttest.Expect[*packet.Disconnect](d); p.Reason != packet.NotAuthorized {
					t.Errorf("DISCONNECT %v", p.Reason)
				}
			}
			d.ExpectClosed()
			if m := watcher.Collect(1)[0]; !bytes.Equal(m.Payload, []byte("gone")) {
				t.Errorf("the Will is %q", m.Payload)
			}
			j.set(func() { j.who = passing(time.Hour) })
			back, connack := n.joins("dev", v)
			if !connack.SessionPresent {
				t.Error("the session is gone")
			}
			watcher.Publish("cmd", []byte("x"), 1)
			back.Collect(1)
			back.Disconnect()
			watcher.Disconnect()
		})
	}
}

// A re-authentication moves the end, to later and to earlier; what is judged by time is the newest.
func TestARenewalMovesTheEnd(t *testing.T) {
	judged(t, func(_ *bubble, n *bubbleNode, j *judge) {
		j.who = passing(time.Minute)
		d, _ := n.joins("dev", packet.V5, withMethod("x"), idle)
		renew := func(p *access.Principal) {
			t.Helper()
			j.set(func() { j.who = p })
			d.Send(again("x"))
			if a := mqtttest.Expect[*packet.Auth](d); a.Reason != packet.Success {
				t.Fatal(a.Reason)
			}
		}
		for range 10 {
			time.Sleep(50 * time.Second)
			renew(passing(time.Minute))
		}
		renew(passing(time.Hour))
		time.Sleep(50 * time.Minute)
		d.Publish("a", nil, 1)
		renew(passing(time.Second))
		time.Sleep(time.Second)
		if p := mqtttest.Expect[*packet.Disconnect](d); p.Reason != packet.NotAuthorized {
			t.Errorf("DISCONNECT %v", p.Reason)
		}
		d.ExpectClosed()
	})
}

// A principal that does not expire any more keeps its connection; one that has expired before the session is there gets none.
func TestEndsThatChange(t *testing.T) {
	judged(t, func(_ *bubble, n *bubbleNode, j *judge) {
		j.who = passing(time.Minute)
		d, _ := n.joins("dev", packet.V5, withMethod("x"), idle)
		j.set(func() { j.who = nil })
		d.Send(again("x"))
		mqtttest.Expect[*packet.Auth](d)
		time.Sleep(time.Hour)
		d.Publish("a", nil, 1)
		j.set(func() { j.who = passing(0) })
		j.set(func() { j.who.Name = "late" })
		late, connack := n.joins("late", packet.V5, withMethod("x"))
		if connack.Reason == packet.Success { // what ends with its beginning may be told in either packet
			if p := mqtttest.Expect[*packet.Disconnect](late); p.Reason != packet.NotAuthorized {
				t.Errorf("DISCONNECT %v", p.Reason)
			}
		} else if connack.Reason != packet.NotAuthorized {
			t.Errorf("CONNACK %v", connack.Reason)
		}
		late.ExpectClosed()
		d.Disconnect()
	})
}

// A device whose principal does not expire has no timer for it.
func TestNoExpiryNoTimer(t *testing.T) {
	judged(t, func(_ *bubble, n *bubbleNode, j *judge) {
		d, _ := n.joins("dev", packet.V5, idle)
		time.Sleep(time.Minute) // the timer of CONNECT fires
		synctest.Wait()
		if c := n.directory.connections()[0]; !c.armed.IsZero() {
			t.Errorf("the timer is set for %v", c.armed)
		}
		d.Disconnect()
	})
}

// A renewal whose answer hangs does not hold up what else the device does.
func TestARenewalThatHangs(t *testing.T) {
	inBubble(t, func(b *bubble) {
		j := &hangingJudge{}
		b.auth, b.change = &auth.Chain{Methods: []auth.Method{{Name: "judge", Authenticator: j}}}, offersMethod
		n := b.start("n1", b.store)
		d, _ := n.joins("dev", packet.V5, withMethod("x"))
		d.Send(again("x"))
		for range 100 {
			d.Publish("a", nil, 1)
		}
		time.Sleep(authWait)
		if p := mqtttest.Expect[*packet.Disconnect](d); p.Reason != packet.ServerBusy {
			t.Errorf("DISCONNECT %v", p.Reason)
		}
		d.ExpectClosed()
	})
}

// hangingJudge lets devices in, and does not answer when they come again.
type hangingJudge struct{ judge }

func (j *hangingJudge) Authenticate(ctx context.Context, a *access.Attempt) (*access.Principal, error) {
	if a.Before == nil {
		return j.judge.Authenticate(ctx, a)
	}
	<-ctx.Done()
	return nil, ctx.Err()
}

// What a CONNECT with a token would be refused for, its renewal is refused for, too.
func TestARenewalIsJudgedLikeAConnect(t *testing.T) {
	of := func(credential string, clientIDs ...string) *access.Principal {
		return &access.Principal{Tenant: "t", Name: "pump", Source: "judge", Credential: credential, ClientIDs: clientIDs}
	}
	revocation := sessionstore.Revocation{ID: "r", Credential: "revoked", At: time.Now(), Until: time.Now().Add(24 * 365 * 100 * time.Hour)}
	for name, c := range map[string]struct {
		renewal *access.Principal
		ok      bool
	}{
		"the same credential":                    {of("c1"), true},
		"a new one":                              {of("c2"), true},
		"one without a name":                     {of(""), true},
		"templates that allow it":                {of("c2", "{principal}", "dev*"), true},
		"templates that do not":                  {of("c2", "other-*"), false},
		"templates that are none":                {of("c2", "{"), false},
		"a credential that another client has":   {of("taken"), false},
		"a credential that is revoked":           {of("revoked"), false},
		"another principal of the same name":     {&access.Principal{Tenant: "u", Name: "pump", Source: "judge"}, false},
		"another principal of the same tenant":   {&access.Principal{Tenant: "t", Name: "valve", Source: "judge"}, false},
		"the name in another case is no renewal": {&access.Principal{Tenant: "t", Name: "Pump", Source: "judge"}, false},
	} {
		judged(t, func(b *bubble, n *bubbleNode, j *judge) {
			if err := b.store.PutRevocation(t.Context(), revocation); err != nil {
				t.Fatal(err)
			}
			j.who = of("taken")
			other, _ := n.joins("other", packet.V5)
			j.set(func() { j.who = of("c1") })
			d, _ := n.joins("dev", packet.V5, withMethod("x"))
			time.Sleep(5 * time.Second) // the revocation is everywhere
			j.set(func() { j.who = c.renewal })
			d.Send(again("x"))
			if c.ok {
				if a := mqtttest.Expect[*packet.Auth](d); a.Reason != packet.Success {
					t.Errorf("%s: AUTH %v", name, a.Reason)
				}
				d.Publish("a", nil, 1)
				d.Disconnect()
			} else {
				if p := mqtttest.Expect[*packet.Disconnect](d); p.Reason != packet.NotAuthorized {
					t.Errorf("%s: DISCONNECT %v", name, p.Reason)
				}
				d.ExpectClosed()
			}
			other.Disconnect()
		})
	}
}
