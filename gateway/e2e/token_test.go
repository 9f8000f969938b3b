package e2e

import (
	"crypto/ed25519"
	"crypto/rand"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"sluice/gateway/e2e/rig"
	"sluice/mqtt/mqtttest"
	"sluice/mqtt/packet"
)

// issuer signs tokens, and shows its keys as a site does.
type issuer struct {
	t   testing.TB
	url string
	key ed25519.PrivateKey
	kid string
}

func newIssuer(t testing.TB) *issuer {
	t.Helper()
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	i := &issuer{t: t, key: key, kid: "k1"}
	site := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		x := base64.RawURLEncoding.EncodeToString(key.Public().(ed25519.PublicKey))
		_, _ = fmt.Fprintf(w, `{"keys":[{"kty":"OKP","crv":"Ed25519","kid":%q,"x":%q}]}`, i.kid, x)
	}))
	t.Cleanup(site.Close)
	i.url = site.URL
	return i
}

// settings have a node take the issuer's tokens.
func (i *issuer) settings(more ...string) []string {
	return append([]string{
		"auth.methods=jwt", "auth.jwt.jwks.url=" + i.url, "auth.jwt.issuer=https://issuer.example", "auth.jwt.audience=sluice", "auth.jwt.leeway=0s",
	}, more...)
}

// token is one for a principal, good for so long, with changed claims.
func (i *issuer) token(principal string, life time.Duration, changes ...jwt.MapClaims) string {
	i.t.Helper()
	now := time.Now()
	claims := jwt.MapClaims{
		"iss": "https://issuer.example", "aud": "sluice", "sub": principal, "jti": rand.Text(), "exp": float64(now.Add(life).UnixMilli()) / 1000,
	}
	for _, c := range changes {
		for name, value := range c {
			claims[name] = value
		}
	}
	token := jwt.NewWithClaims(jwt.SigningMethodEdDSA, claims)
	token.Header["kid"] = i.kid
	text, err := token.SignedString(i.key)
	if err != nil {
		i.t.Fatal(err)
	}
	return text
}

func withToken(token string) func(*packet.Connect) {
	return func(p *packet.Connect) {
		p.HasUsername, p.Username, p.HasPassword, p.Password = true, "", true, []byte(token)
	}
}

func byMethod(token string) func(*packet.Connect) {
	return func(p *packet.Connect) {
		p.Properties.SetAuthMethod("OAUTH2-JWT")
		p.Properties.SetAuthData([]byte(token))
	}
}

func renewal(token string) *packet.Auth {
	a := &packet.Auth{Reason: packet.ReAuthenticate}
	a.Properties.SetAuthMethod("OAUTH2-JWT")
	a.Properties.SetAuthData([]byte(token))
	return a
}

// A token in the password opens a session in both versions; one that is not good does not, with the code of the version.
func TestTokenAsPassword(t *testing.T) {
	i := newIssuer(t)
	n := rig.Start(t, rig.Embedded(), i.settings()...)
	good := i.token("pump", time.Hour)
	for _, v := range []packet.Version{packet.V311, packet.V5} {
		d, _ := rig.Dial(t, n, v, rig.Clean("dev"), withToken(good))
		d.Subscribe("a", 1)
		d.Publish("a", []byte("x"), 1)
		d.Collect(1)
		leave(d)
		for name, token := range map[string]string{
			"expired": i.token("pump", -time.Second), "another audience": i.token("pump", time.Hour, jwt.MapClaims{"aud": "other"}), "another issuer": i.token("pump", time.Hour, jwt.MapClaims{"iss": "x"}),
			"changed": good[:len(good)-4] + "AAAA", "no token": "secret",
		} {
			d := mqtttest.Dial(t, n.TCP, v)
			want := packet.BadUserNameOrPassword
			if name == "no token" || name == "expired" {
				want = packet.NotAuthorized // nobody has looked at it, or it was good once
			}
			if c := d.Connect(withToken(token)); c.Reason != want {
				t.Errorf("%s: CONNACK %v, want %v", name, c.Reason, want)
			}
			d.ExpectClosed()
		}
	}
	pub := rig.Run(t, rig.Env(t, rig.EnvMosquittoPub), "-h", "127.0.0.1", "-p", port(n.TCP), "-V", "311", "-u", "x", "-P", i.token("mosquitto", time.Hour), "-q", "1", "-t", "a", "-m", "m")
	pub.Succeed()
}

// At the end of its token a connection ends, and its session does not.
func TestTokenExpires(t *testing.T) {
	i := newIssuer(t)
	n := rig.Start(t, rig.Embedded(), i.settings()...)
	for _, v := range []packet.Version{packet.V311, packet.V5} {
		id := fmt.Sprint("dev", v)
		d, _ := rig.Dial(t, n, v, rig.Persistent(id), withToken(i.token("pump", time.Second)))
		if v == packet.V5 {
			if p := mqtttest.Expect[*packet.Disconnect](d); p.Reason != packet.NotAuthorized {
				t.Errorf("DISCONNECT %v", p.Reason)
			}
		}
		d.AwaitClosed()
		back, connack := rig.Dial(t, n, v, rig.Persistent(id), withToken(i.token("pump", time.Hour)))
		if !connack.SessionPresent {
			t.Error("the session has ended")
		}
		leave(back)
	}
}

// A key that is taken from the file ends the connections that it opened, and no others.
func TestAWithdrawnKeyEndsConnections(t *testing.T) {
	gone, stays := newIssuer(t), newIssuer(t)
	file := filepath.Join(t.TempDir(), "keys")
	write := func(issuers ...*issuer) {
		t.Helper()
		var content []byte
		for _, i := range issuers {
			der, err := x509.MarshalPKIXPublicKey(i.key.Public())
			if err != nil {
				t.Fatal(err)
			}
			content = append(content, pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})...)
		}
		if err := os.WriteFile(file+".new", content, 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(file+".new", file); err != nil {
			t.Fatal(err)
		}
	}
	write(gone, stays)
	n := rig.Start(t, rig.Embedded(), "auth.methods=jwt", "auth.jwt.keys_file="+file, "auth.jwt.issuer=https://issuer.example", "auth.jwt.audience=sluice")
	for i, v := range []packet.Version{packet.V311, packet.V5} {
		write(gone, stays)
		var ended *mqtttest.Device
		rig.Eventually(t, "the key is in use", func() error {
			ended = mqtttest.Dial(t, n.TCP, v)
			if c := ended.Connect(rig.Clean(fmt.Sprint("ended", i)), withToken(gone.token("ended", time.Hour))); c.Reason.Failed() {
				return fmt.Errorf("CONNACK %v", c.Reason)
			}
			return nil
		})
		other, _ := rig.Dial(t, n, v, rig.Clean(fmt.Sprint("other", i)), withToken(stays.token("other", time.Hour)))
		write(stays)
		if v == packet.V5 {
			if p := mqtttest.Expect[*packet.Disconnect](ended); p.Reason != packet.NotAuthorized {
				t.Errorf("DISCONNECT %v", p.Reason)
			}
		}
		ended.AwaitClosed()
		if r := other.Publish("a", []byte("x"), 1); r.Failed() {
			t.Errorf("the other device: PUBACK %v", r)
		}
		leave(other)
	}
}

// Renewing all the time loses nothing: a device publishes at QoS 1, and goes on beyond the life of the token that it came with.
func TestRenewalUnderLoad(t *testing.T) {
	rig.Each(t, func(t *testing.T, b rig.Backend) {
		i := newIssuer(t)
		n := rig.Start(t, b, i.settings()...)
		topic := rig.Prefix(t) + "/load"
		const life, window = 5 * time.Second, 20
		listener, _ := rig.Dial(t, n, packet.V5, rig.Clean(topic+"-listener"), withToken(i.token("ear", time.Hour)))
		listener.Subscribe(topic, 1)
		d, _ := rig.Dial(t, n, packet.V5, rig.Clean(topic+"-dev"), byMethod(i.token("pump", life)))
		sent, renewed := 0, 0
		for end := time.Now().Add(life + time.Second); time.Now().Before(end) || renewed < 3; {
			d.Send(renewal(i.token("pump", time.Minute)))
			for range window {
				sent++
				d.Send(&packet.Publish{Topic: topic, QoS: 1, ID: d.NextID(), Payload: fmt.Append(nil, sent)})
			}
			renewed += answers(t, d, window)
			for m, p := range listener.Collect(window) {
				if want := fmt.Sprint(sent - window + 1 + m); string(p.Payload) != want {
					t.Fatalf("got %s, want %s", p.Payload, want)
				}
			}
		}
		t.Logf("%d renewals among %d messages", renewed, sent)
		leave(d)
		leave(listener)
	})
}

// answers takes that many PUBACK packets and one AUTH, in any order.
func answers(t *testing.T, d *mqtttest.Device, acks int) (auths int) {
	t.Helper()
	for acks > 0 || auths == 0 {
		switch p := d.Recv().(type) {
		case *packet.Ack:
			if acks--; p.Kind != packet.PUBACK || p.Reason.Failed() {
				t.Fatalf("got %v", mqtttest.Describe(p))
			}
		case *packet.Auth:
			if auths++; p.Reason != packet.Success {
				t.Fatalf("AUTH %v", p.Reason)
			}
		default:
			t.Fatalf("got %s", mqtttest.Describe(p))
		}
	}
	return auths
}

// A renewal that is refused ends the connection: another principal, another tenant, or a token that is not good.
func TestRenewalRefused(t *testing.T) {
	i := newIssuer(t)
	n := rig.Start(t, rig.Embedded(), i.settings("auth.jwt.tenant_claim=tenant")...)
	acme := jwt.MapClaims{"tenant": "acme"}
	for name, token := range map[string]string{
		"another principal": i.token("valve", time.Hour, acme), "another tenant": i.token("pump", time.Hour, jwt.MapClaims{"tenant": "other"}), "expired": i.token("pump", -time.Second, acme),
		"no token": "",
	} {
		d, _ := rig.Dial(t, n, packet.V5, rig.Clean("dev"), byMethod(i.token("pump", time.Hour, acme)))
		d.Send(renewal(token))
		if p := mqtttest.Expect[*packet.Disconnect](d); p.Reason != packet.NotAuthorized {
			t.Errorf("%s: DISCONNECT %v", name, p.Reason)
		}
		d.AwaitClosed()
	}
}

// A service over HTTP decides; while it is down nobody is let in.
func TestHook(t *testing.T) {
	var down atomic.Bool
	service := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var q struct {
			UserName string `json:"user_name"`
			Password string `json:"password"`
		}
		switch err := json.NewDecoder(r.Body).Decode(&q); {
		case err != nil || down.Load():
			w.WriteHeader(http.StatusBadGateway)
		case q.Password == "right":
			_, _ = fmt.Fprintf(w, `{"result":"allow","principal":%q}`, q.UserName)
		default:
			_, _ = io.WriteString(w, `{"result":"deny","reason":"no such device"}`)
		}
	}))
	defer service.Close()
	n := rig.Start(t, rig.Embedded(), "auth.methods=http", "auth.http.url="+service.URL)
	shows := func(password string) func(*packet.Connect) {
		return func(p *packet.Connect) {
			p.HasUsername, p.Username, p.HasPassword, p.Password = true, "pump", true, []byte(password)
		}
	}
	connect := func(v packet.Version, password string, want packet.ReasonCode) {
		t.Helper()
		d := mqtttest.Dial(t, n.TCP, v)
		if c := d.Connect(rig.Clean("dev"), shows(password)); c.Reason != want {
			t.Errorf("%q: CONNACK %v, want %v", password, c.Reason, want)
		}
		d.Close()
	}
	for _, v := range []packet.Version{packet.V311, packet.V5} {
		down.Store(false)
		connect(v, "right", packet.Success)
		connect(v, "wrong", packet.BadUserNameOrPassword)
		down.Store(true)
		connect(v, "right", packet.ServerUnavailable)
	}
}
