package config

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func load(t *testing.T, src Source) *Config {
	t.Helper()
	c, _, err := Load(src)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func file(t *testing.T, content string) string {
	t.Helper()
	p := filepath.Join(t.TempDir(), "sluice.yaml")
	if err := os.WriteFile(p, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return p
}

func TestDefaults(t *testing.T) {
	c := load(t, Source{})
	if c.TCPListen != "127.0.0.1:1883" || c.TLSListen != "" || c.BusURLs != nil || c.SessionsURL != "" ||
		c.EmbeddedListen != "127.0.0.1:5672" || c.Admin.Listen != "127.0.0.1:8080" || c.LogLevel != "info" || c.BusGrace != 30*time.Second {
		t.Errorf("got %+v", c)
	}
	if d := load(t, Source{}); c.NodeID == "" || c.NodeID == d.NodeID {
		t.Errorf("node ids %q and %q: want two random ones", c.NodeID, d.NodeID)
	}
}

func TestPrecedence(t *testing.T) {
	src := Source{File: file(t, "mqtt:\n  window: 1\n  receive_maximum: 1\nlog:\n  level: debug\n")}
	if c := load(t, src); c.Window != 1 || c.LogLevel != "debug" || c.KeepAliveMax != 0 {
		t.Errorf("file over default: %+v", c)
	}
	src.Env = []string{"SLUICE_MQTT_WINDOW=2", "SLUICE_MQTT_RECEIVE_MAXIMUM=2", "PATH=/bin"}
	if c := load(t, src); c.Window != 2 || c.ReceiveMaximum != 2 || c.LogLevel != "debug" {
		t.Errorf("environment over file: %+v", c)
	}
	src.Set = []string{"mqtt.window=3"}
	if c := load(t, src); c.Window != 3 || c.ReceiveMaximum != 2 {
		t.Errorf("--set over environment: %+v", c)
	}
}

func TestFormsOfValues(t *testing.T) {
	c := load(t, Source{File: file(t, "auth:\n  methods: [anonymous]\nmqtt:\n  tcp:\n    listen: off\n  tls:\n    listen: 0.0.0.0:8883\n    cert: c.pem\n    key: k.pem\nbus:\n  url:\n    - amqp://a:5672\n    - amqps://b\n"+
		"  grace: 1m\nadmin:\n  listen: \"off\"\n")})
	if c.TCPListen != "" || c.Admin.Listen != "" || len(c.BusURLs) != 2 || c.BusGrace != time.Minute {
		t.Errorf("got %+v", c)
	}
	if c := load(t, Source{Set: []string{"bus.url=amqp://a, amqp://b"}}); len(c.BusURLs) != 2 {
		t.Errorf("got %v", c.BusURLs)
	}
}

func TestListenersAndTheirProfiles(t *testing.T) {
	c := load(t, Source{Set: []string{"auth.methods=anonymous", "mqtt.ws.listen=:8083", "mqtt.ws.profile=ephemeral", "mqtt.ws.path=/", "mqtt.ws.origins=*.example.com, https://a.example", "profile=durable", "sessions.url=redis://h"}})
	want := []Listener{
		{Key: "mqtt.tcp.listen", Name: "MQTT over TCP", Address: "127.0.0.1:1883", Profile: Durable, Auth: []string{"anonymous"}},
		{Key: "mqtt.ws.listen", Name: "MQTT over WebSocket", Address: ":8083", Profile: Ephemeral, WebSocket: true, Auth: []string{"anonymous"}},
	}
	if diff := cmp.Diff(want, c.Listeners()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if !c.Durable() || c.WSPath != "/" || !slices.Equal(c.WSOrigins, []string{"*.example.com", "https://a.example"}) {
		t.Errorf("got %+v", c)
	}
	// A profile that no listener has asks for nothing.
	if c := load(t, Source{Set: []string{"profile=durable", "mqtt.tcp.profile=ephemeral"}}); c.Durable() {
		t.Error("durable, although no device is")
	}
	if c := load(t, Source{File: file(t, "mqtt:\n  ws:\n    listen: off\n    origins: [a.example]\n")}); c.Durable() || c.WSPath != "/mqtt" || !slices.Equal(c.WSOrigins, []string{"a.example"}) {
		t.Errorf("got %+v", c)
	}
}

func TestKeysOfTLS(t *testing.T) {
	c := load(t, Source{
		File: file(t, "mqtt:\n  tls:\n    client_certificates: off\n    client_crl: [a.crl, b.crl]\n    client_ca: ca.pem\n    proxies: [10.1.2.3/8, 'fd00::1']\n"),
		Set: []string{"auth.methods=anonymous", "mqtt.tls.listen=:1", "mqtt.wss.listen=:2", "mqtt.tls.cert=c", "mqtt.tls.key=k", "mqtt.wss.client_certificates=required",
			"bus.url=amqp://a,amqps://b", "bus.tls.server_name=b", "sessions.url=rediss+sentinel://h/n", "sessions.tls.ca=ca"},
	})
	if c.TLS.ClientIdentity != "cn" || !slices.Equal(c.TLS.ClientCRL, []string{"a.crl", "b.crl"}) || c.BusTLS.ServerName != "b" || c.SessionsTLS.CA != "ca" {
		t.Errorf("got %+v", c)
	}
	var got []string
	for _, l := range c.Listeners() {
		got = append(got, fmt.Sprint(l.Key, " ", l.ClientCertificates, l.Proxies))
	}
	want := []string{"mqtt.tcp.listen []", "mqtt.tls.listen off[10.0.0.0/8 fd00::1/128]", "mqtt.wss.listen required[]"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// TestFaults: each names the key, the value and the way to mend it, and never a password.
func TestFaults(t *testing.T) {
	for _, c := range []struct {
		name string
		src  Source
		want []string
	}{
		{"unknown key in --set", Source{Set: []string{"mqtt.windows=3"}}, []string{"mqtt.windows", "did you mean mqtt.window?"}},
		{"unknown key in the file", Source{File: file(t, "bus:\n  ulr: amqp://x\n")}, []string{"bus.ulr", "did you mean bus.url?"}},
		{"no = in --set", Source{Set: []string{"mqtt.window"}}, []string{"mqtt.window", "key=value"}},
		{"wrong type", Source{Set: []string{"mqtt.window=many"}}, []string{"mqtt.window", `"many"`, "whole number from 1 to 16382"}},
		{"wrong type in the file", Source{File: file(t, "mqtt:\n  window: [1]\n")}, []string{"mqtt.window", "whole number"}},
		{"impossible value", Source{Env: []string{"SLUICE_MQTT_WINDOW=0"}}, []string{"mqtt.window", `"0"`}},
		{"no unit", Source{Set: []string{"bus.grace=30"}}, []string{"bus.grace", `"30"`, "30s"}},
		{"bad address", Source{Set: []string{"mqtt.tcp.listen=1883"}}, []string{"mqtt.tcp.listen", `"1883"`, "host:port"}},
		{"bad scheme", Source{Set: []string{"bus.url=http://user:secret@host"}}, []string{"bus.url", "amqp://"}},
		{"bad URL", Source{Set: []string{"bus.url=amqp://user:secret%zz@host"}}, []string{"bus.url", "is not a URL"}},
		{"no host", Source{Set: []string{"sessions.url=redis://"}}, []string{"sessions.url", "names no host"}},
		{"none of", Source{Set: []string{"log.level=loud"}}, []string{"log.level", `"loud"`, "debug, info, warn, error"}},
		{"no file", Source{File: "no-such.yaml"}, []string{"--config", "no-such.yaml"}},
		{"broken file", Source{File: file(t, "a: [")}, []string{"--config"}},
		{"nothing to listen on", Source{Set: []string{"mqtt.tcp.listen=off"}}, []string{"mqtt.tcp.listen", "mqtt.tls.listen"}},
		{"TLS without certificate", Source{Set: []string{"mqtt.tls.listen=:8883"}}, []string{"mqtt.tls.cert", "mqtt.tls.key"}},
		{"open embedded bus", Source{Set: []string{"bus.embedded.listen=0.0.0.0:5672"}}, []string{"bus.embedded.listen", "bus.embedded.user"}},
		{"user without password", Source{Set: []string{"bus.embedded.user=u"}}, []string{"bus.embedded.password"}},
		{"durable without replicas", Source{Set: []string{"profile=durable"}}, []string{"profile", "sessions.url"}},
		{"durable WebSockets without replicas", Source{Set: []string{"mqtt.ws.profile=durable", "mqtt.ws.listen=:80", "mqtt.tcp.profile=ephemeral"}}, []string{"mqtt.ws.listen", "sessions.url"}},
		{"durable beside standard", Source{Set: []string{"sessions.url=redis://h", "mqtt.ws.listen=:80", "mqtt.ws.profile=durable"}}, []string{"mqtt.ws.listen is durable", "mqtt.tcp.listen is standard"}},
		{"no such profile", Source{Set: []string{"profile=eternal"}}, []string{"profile", `"eternal"`, "ephemeral, standard, durable"}},
		{"no such profile of a listener", Source{Set: []string{"mqtt.wss.profile=eternal"}}, []string{"mqtt.wss.profile", `"eternal"`, "ephemeral, standard, durable"}},
		{"WebSocket on TLS without certificate", Source{Set: []string{"mqtt.wss.listen=:443"}}, []string{"mqtt.wss.listen", "mqtt.tls.cert", "mqtt.tls.key"}},
		{"path without slash", Source{Set: []string{"mqtt.ws.path=mqtt"}}, []string{"mqtt.ws.path", `"mqtt"`, "/mqtt"}},
		{"path with a query", Source{Set: []string{"mqtt.ws.path=/mqtt?x=1"}}, []string{"mqtt.ws.path", "/mqtt"}},
		{"origin with a path", Source{Set: []string{"mqtt.ws.origins=https://example.com/app"}}, []string{"mqtt.ws.origins", "example.com/app", "scheme://host"}},
		{"origin with a broken pattern", Source{Set: []string{"mqtt.ws.origins=a.example, [x"}}, []string{"mqtt.ws.origins", "[x"}},
		{"certificates without CA", Source{Set: []string{"mqtt.tls.listen=:1", "mqtt.tls.cert=c", "mqtt.tls.key=k", "mqtt.tls.client_certificates=optional"}}, []string{"mqtt.tls.client_certificates asks", "mqtt.tls.client_ca"}},
		{"certificates over WebSocket without CA", Source{Set: []string{"mqtt.wss.listen=:1", "mqtt.tls.cert=c", "mqtt.tls.key=k", "mqtt.wss.client_certificates=required"}}, []string{"mqtt.wss.client_certificates asks", "mqtt.tls.client_ca"}},
		{"CA that nobody asks", Source{Set: []string{"mqtt.tls.listen=:1", "mqtt.tls.cert=c", "mqtt.tls.key=k", "mqtt.tls.client_ca=ca"}}, []string{"mqtt.tls.client_ca is set", "everybody would be let in", "required or optional"}},
		{"certificates on a listener that is off", Source{Set: []string{"mqtt.tls.client_certificates=required", "mqtt.tls.client_ca=ca"}}, []string{"mqtt.tls.client_ca is set"}},
		{"revocations without CA", Source{Set: []string{"mqtt.tls.client_crl=c"}}, []string{"mqtt.tls.client_crl", "mqtt.tls.client_ca"}},
		{"no such way of certificates", Source{Set: []string{"mqtt.tls.client_certificates=maybe"}}, []string{"mqtt.tls.client_certificates", `"maybe"`, "off, optional, required"}},
		{"no such identity", Source{Set: []string{"mqtt.tls.client_identity=serial"}}, []string{"mqtt.tls.client_identity", `"serial"`, "cn, uri, dns, email"}},
		{"a proxy by name", Source{Set: []string{"mqtt.tcp.proxies=10.0.0.1, balancer"}}, []string{"mqtt.tcp.proxies", `"balancer"`, "10.1.0.0/16"}},
		{"a proxy with IPv4 in IPv6", Source{Set: []string{"mqtt.wss.proxies=::ffff:10.0.0.1"}}, []string{"mqtt.wss.proxies", "write IPv4 as 10.0.0.1"}},
		{"TLS to a plain bus", Source{Set: []string{"bus.url=amqp://b", "bus.tls.ca=ca"}}, []string{"bus.tls.* is set", "amqps://", "encrypted"}},
		{"TLS to the embedded bus", Source{Set: []string{"bus.tls.server_name=b"}}, []string{"bus.tls.* is set", "bus.url"}},
		{"TLS to a plain Redis", Source{Set: []string{"sessions.url=redis://r", "sessions.tls.ca=ca"}}, []string{"sessions.tls.* is set", "rediss://"}},
		{"a certificate without key for the bus", Source{Set: []string{"bus.url=amqps://b", "bus.tls.cert=c"}}, []string{"bus.tls.cert and bus.tls.key"}},
		{"a key without certificate for Redis", Source{Set: []string{"sessions.url=rediss://r", "sessions.tls.key=k"}}, []string{"sessions.tls.cert and sessions.tls.key"}},
		{"node id", Source{Set: []string{"node.id=a b"}}, []string{"node.id", `"a b"`}},
		{"no such kind of bus", Source{Set: []string{"bus.kind=kafka"}}, []string{"bus.kind", `"kafka"`, "auto, rabbitmq, artemis"}},
		{"a kind without a bus", Source{Set: []string{"bus.kind=artemis"}}, []string{"bus.kind is artemis", "set bus.url"}},
		{"a root that is no name", Source{Set: []string{"bus.artemis.root=activemq.x"}}, []string{"bus.artemis.root", `"activemq.x"`, "such as mqtt"}},
		{"two faults at once", Source{Set: []string{"mqtt.window=x", "log.level=y"}}, []string{"mqtt.window", "log.level"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, _, err := Load(c.src)
			if err == nil {
				t.Fatal("accepted")
			}
			for _, w := range c.want {
				if !strings.Contains(err.Error(), w) {
					t.Errorf("%q does not say %q", err, w)
				}
			}
			if strings.Contains(err.Error(), "secret") {
				t.Errorf("%q shows a password", err)
			}
		})
	}
}

func TestStrangeVariablesAreWarnedOf(t *testing.T) {
	_, warnings, err := Load(Source{Env: []string{"SLUICE_SERVICE_HOST=10.0.0.1", "SLUICE_TEST_REDIS_URL=x", "OTHER=1"}})
	if err != nil || len(warnings) != 1 || !strings.Contains(warnings[0], "SLUICE_SERVICE_HOST") {
		t.Errorf("warnings %v, error %v", warnings, err)
	}
}

// TestReferenceIsCurrent: docs/configuration.md is what the code says (`make docs` writes it).
func TestReferenceIsCurrent(t *testing.T) {
	got, err := os.ReadFile("../../docs/configuration.md")
	if err != nil {
		t.Fatal(err)
	}
	if string(got) != Reference() {
		t.Error("docs/configuration.md is out of date: run make docs")
	}
}

// TestExampleOfTheReference: the example at the top of the page is a configuration, and means what it says.
func TestExampleOfTheReference(t *testing.T) {
	file := filepath.Join(t.TempDir(), "sluice.yaml")
	if err := os.WriteFile(file, []byte(example), 0o600); err != nil {
		t.Fatal(err)
	}
	c, warnings, err := Load(Source{File: file})
	if err != nil || len(warnings) > 0 {
		t.Fatal(warnings, err)
	}
	if c.NodeID != "node-1" || c.TCPListen != "" || c.TLSListen != "0.0.0.0:8883" || c.SessionsURL != "redis://redis:6379" || c.Access.Policy == "" {
		t.Errorf("%+v", c)
	}
}

// A section without keys is one whose keys are commented out. A value in its place is one fault, and not one for each key that it hides.
func TestSectionsWithoutKeys(t *testing.T) {
	for text, want := range map[string]string{
		"mqtt:\nbus:\n  tls:\nsessions:\n  url:\n": "",
		"mqtt: [1, 2]\n":    "mqtt: in FILE a value stands where keys belong; write them below it, indented, such as mqtt.tcp.listen",
		"bus:\n  tls: on\n": "bus.tls: in FILE a value stands where keys belong; write them below it, indented, such as bus.tls.ca",
	} {
		file := filepath.Join(t.TempDir(), "sluice.yaml")
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		got := ""
		if _, _, err := Load(Source{File: file}); err != nil {
			got = err.Error()
		}
		if want = strings.ReplaceAll(want, "FILE", file); got != want {
			t.Errorf("%q: %q, want %q", text, got, want)
		}
	}
}

func TestEveryKeyHasADefaultThatIsValid(t *testing.T) {
	for _, k := range keys(&Config{}) {
		if err := k.set(k.value); err != nil {
			t.Errorf("%s: default %v: %v", k.name, k.value, err)
		}
		if !strings.HasSuffix(k.doc, ".") || len(k.doc) < 20 {
			t.Errorf("%s: doc line %q", k.name, k.doc)
		}
	}
}
