package attack

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"maps"
	"net"
	"sync/atomic"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"sluice/gateway/e2e/rig"
	"sluice/gateway/secure/securetest"
	"sluice/mqtt/mqtttest"
	"sluice/mqtt/packet"
)

const (
	issuer   = "https://login.example"
	audience = "mqtt"
)

// policy gives each tenant the topics below its name, but for what its devices shall not hear.
const policy = `rules:
  - deny: secrets
    do: subscribe
    topics: "{tenant}/secret/#"
  - allow: own-tenant
    do: [publish, subscribe]
    topics: "{tenant}/#"
`

// site is two nodes with the tenants acme and evil, and who makes their tokens.
type site struct {
	t          *testing.T
	nodes      [2]*rig.Node
	acme, evil string
	key        *ecdsa.PrivateKey
	public     []byte // PEM, as the nodes have it
	dialed     *atomic.Uint32
}

// each runs a test against nodes on a bus and a store in this process, and on RabbitMQ and Redis.
func each(t *testing.T, test func(t *testing.T, s *site), set ...string) {
	t.Helper()
	t.Parallel()
	for _, b := range []rig.Backend{rig.InProcess(t), rig.Real(t)} {
		t.Run(b.Name, func(t *testing.T) { test(t, build(t, b, set...)) })
	}
}

func build(t *testing.T, b rig.Backend, set ...string) *site {
	t.Helper()
	s := (&site{dialed: new(atomic.Uint32)}).anew(t)
	var err error
	if s.key, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader); err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKIXPublicKey(&s.key.PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	s.public = pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})
	set = append([]string{
		"auth.methods=jwt", "auth.jwt.keys_file=" + securetest.File(t, s.public), "auth.jwt.issuer=" + issuer, "auth.jwt.audience=" + audience,
		"auth.jwt.tenant_claim=tenant", "access.policy=" + securetest.File(t, []byte(policy)),
	}, set...)
	s.nodes[0], s.nodes[1] = rig.Pair(t, b, set...)
	return s
}

// anew is the same site with tenants that nobody has used.
func (s *site) anew(t *testing.T) *site {
	next, prefix := *s, rig.Prefix(t)
	next.t, next.acme, next.evil = t, prefix+"-acme", prefix+"-evil"
	return &next
}

// versions runs a test for each version of MQTT, with tenants of its own.
func (s *site) versions(test func(t *testing.T, s *site, v packet.Version)) {
	rig.Versions(s.t, func(t *testing.T, v packet.Version) { test(t, s.anew(t), v) })
}

// claims are those of a token that is good for an hour.
func (s *site) claims(tenant, principal string) jwt.MapClaims {
	now := time.Now()
	return jwt.MapClaims{
		"iss": issuer, "aud": audience, "sub": principal, "tenant": tenant, "iat": now.Unix(), "exp": now.Add(time.Hour).Unix(), "jti": rig.Prefix(s.t),
	}
}

func (s *site) sign(c jwt.MapClaims) string {
	token, err := jwt.NewWithClaims(jwt.SigningMethodES256, c).SignedString(s.key)
	if err != nil {
		panic("a token cannot be signed: " + err.Error())
	}
	return token
}

// token is good for an hour.
func (s *site) token(tenant, principal string) string { return s.sign(s.claims(tenant, principal)) }

// with is an option for Connect: a token as password.
func with(token string) func(*packet.Connect) {
	return func(c *packet.Connect) {
		c.Username, c.HasUsername = "device", true
		c.Password, c.HasPassword = []byte(token), true
	}
}

// dial connects a device that must be let in.
func (s *site) dial(t *testing.T, node int, v packet.Version, id, token string, options ...func(*packet.Connect)) *mqtttest.Device {
	t.Helper()
	d, connack := s.try(t, node, v, id, token, options...)
	if connack.Reason.Failed() {
		t.Fatalf("%s is not let in: %v", id, connack.Reason)
	}
	return d
}

// try connects a device, and gives the answer.
func (s *site) try(t *testing.T, node int, v packet.Version, id, token string, options ...func(*packet.Connect)) (*mqtttest.Device, *packet.Connack) {
	t.Helper()
	// Each from an address of its own: those who fail are slowed by their address.
	number := s.dialed.Add(1)
	from := &net.TCPAddr{IP: net.IPv4(127, 1, byte(number>>8), byte(number))}
	conn, err := (&net.Dialer{LocalAddr: from, Timeout: rig.Patience}).Dial("tcp", s.nodes[node].TCP)
	if err != nil {
		t.Fatal(err)
	}
	d := mqtttest.New(t, conn, v)
	d.SetTimeout(rig.Patience)
	return d, d.Connect(append([]func(*packet.Connect){mqtttest.ClientID(id), with(token)}, options...)...)
}

// expectRefused: the answer is one of a refusal for want of a right, and the connection is closed behind it.
func expectRefused(t *testing.T, what string, d *mqtttest.Device, connack *packet.Connack) {
	t.Helper()
	switch connack.Reason {
	case packet.ClientIDNotValid, packet.BadUserNameOrPassword, packet.NotAuthorized:
	default:
		t.Errorf("%s is answered with %v", what, connack.Reason)
	}
	if connack.SessionPresent {
		t.Errorf("%s is told that there is a session", what)
	}
	d.ExpectClosed()
}

// victim publishes to itself at QoS 1: each turn must go through, in order and once.
type victim struct {
	*mqtttest.Device
	t     *testing.T
	id    string
	topic string
	turns int
}

func (s *site) victim(t *testing.T, node int, v packet.Version) *victim {
	t.Helper()
	id := rig.Prefix(t)
	w := &victim{t: t, id: id, topic: s.acme + "/" + id}
	w.Device = s.dial(t, node, v, id, s.token(s.acme, "meter-"+id), rig.Persistent(id))
	if reason := w.Subscribe(w.topic, 1); reason != 1 {
		t.Fatalf("the victim's subscription is answered with %v", reason)
	}
	return w
}

func (w *victim) turn() {
	w.t.Helper()
	payload := fmt.Sprint(w.turns)
	w.turns++
	if reason := w.Publish(w.topic, []byte(payload), 1); reason.Failed() {
		w.t.Fatalf("the victim's message %s is answered with %v", payload, reason)
	}
	// DUP may be set: after a refusal that ended the connection, the bus may have brought the message to the old one first.
	if m := w.Collect(1)[0]; string(m.Payload) != payload {
		w.t.Fatalf("the victim gets %q, it sent %q", m.Payload, payload)
	}
}

// changed is a copy of claims with some replaced; nil takes one out.
func changed(c jwt.MapClaims, by map[string]any) jwt.MapClaims {
	c = maps.Clone(c)
	for name, value := range by {
		if c[name] = value; value == nil {
			delete(c, name)
		}
	}
	return c
}
