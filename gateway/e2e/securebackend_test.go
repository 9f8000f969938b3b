package e2e

import (
	"crypto/tls"
	"errors"
	"net/url"
	"strings"
	"testing"

	"sluice/gateway/e2e/rig"
	"sluice/gateway/secure/securetest"
	"sluice/mqtt/mqtttest"
	"sluice/mqtt/packet"
)

var errStillIn = errors.New("still let in")

// behindTLS puts TLS that wants certificates of ca before a service, and gives the service's URL with another scheme and host.
func behindTLS(t *testing.T, ca *securetest.Authority, service, scheme string) string {
	t.Helper()
	u, err := url.Parse(service)
	if err != nil {
		t.Fatal(err)
	}
	ends := &tls.Config{Certificates: []tls.Certificate{ca.Issue("service").TLS}, ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: ca.Pool()}
	u.Host, u.Scheme = startRelay(t, ends, u.Host).address, scheme
	return u.String()
}

// A node meets RabbitMQ and Redis over TLS, with a CA and a certificate of its own, and checks the name.
func TestBusAndSessionsOverTLS(t *testing.T) {
	t.Parallel()
	ca := securetest.New(t, "backend CA")
	cert, key := ca.Issue("node").Files(t)
	caFile := securetest.File(t, ca.PEM)
	own := func(side, name string) []string {
		return []string{side + ".tls.ca=" + caFile, side + ".tls.cert=" + cert, side + ".tls.key=" + key, side + ".tls.server_name=" + name}
	}
	bus := []string{"bus.url=" + behindTLS(t, ca, rig.Env(t, rig.EnvRabbitMQ), "amqps")}
	sessions := []string{"sessions.url=" + behindTLS(t, ca, rig.Env(t, rig.EnvRedis), "rediss")}
	all := func(lists ...[]string) (set []string) {
		for _, l := range lists {
			set = append(set, l...)
		}
		return set
	}

	n := rig.Start(t, rig.Real(t), all(bus, own("bus", "service"), sessions, own("sessions", "service"))...)
	d, _ := rig.Dial(t, n, packet.V5, mqtttest.Persistent(rig.Prefix(t), 60))
	topic := rig.Prefix(t)
	d.Subscribe(topic, 1)
	d.Publish(topic, []byte("x"), 1)
	if m := d.Collect(1)[0]; string(m.Payload) != "x" {
		t.Errorf("got %q", m.Payload)
	}
	d.Disconnect()

	for name, c := range map[string]struct {
		set  []string
		want string
	}{
		"a bus of another name":      {all(bus, own("bus", "elsewhere")), "set bus.tls.server_name"},
		"a bus of an unknown CA":     {bus, "in bus.tls.ca"},
		"a Redis of another name":    {all(sessions, own("sessions", "elsewhere")), "set sessions.tls.server_name"},
		"a Redis of an unknown CA":   {sessions, "in sessions.tls.ca"},
		"a Redis that is shown none": {all(sessions, []string{"sessions.tls.ca=" + caFile}), "certificate required"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			check := sluice(t, setFlags(append(c.set, "mqtt.tcp.listen=127.0.0.1:0", "admin.listen=off", "bus.embedded.listen=127.0.0.1:0"))...)
			if check.Wait() == 0 || !strings.Contains(check.Output(), c.want) {
				t.Errorf("sluice check says\n%s\nwant %q", check.Output(), c.want)
			}
		})
	}
}

func setFlags(set []string) []string {
	args := []string{"check"}
	for _, s := range set {
		args = append(args, "--set", s)
	}
	return args
}
