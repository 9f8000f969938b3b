package e2e

import (
	"encoding/json"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"sluice/gateway/e2e/rig"
	"sluice/mqtt/mqtttest"
	"sluice/mqtt/packet"
)

// server is a running `sluice serve`.
type server struct {
	*rig.Process
	mqtt, admin string
	bus         []string // the flags by which the other commands find its bus
	flags       []string // all its flags
}

// commandBackend is a bus and a store as a user names them: nothing says what kind of bus it is.
type commandBackend struct {
	rig.Backend
	flags   []string // of serve, ports left to choose
	checked string   // what check says of the bus
	kept    bool     // what the devices send is kept
}

func commandBackends(t *testing.T) []commandBackend {
	real := func(b rig.Backend, checked string) commandBackend {
		return commandBackend{b, []string{"--set", "bus.url=" + b.BusURL(), "--set", "sessions.url=" + b.SessionsURL(), "--set", "retained.queue=" + rig.Prefix(t)}, checked, true}
	}
	return []commandBackend{
		{rig.Embedded(), []string{"--set", "bus.embedded.listen=127.0.0.1:0"}, "NO MESSAGE IS KEPT (set bus.url)", false},
		real(rig.Real(t), "reached: RabbitMQ 4"),
		real(rig.Artemis(t), "reached: apache-activemq-artemis 2"),
	}
}

func serve(t *testing.T, flags ...string) *server {
	t.Helper()
	s := &server{flags: append([]string{"--set", "mqtt.tcp.listen=127.0.0.1:0", "--set", "admin.listen=127.0.0.1:0"}, flags...)}
	s.Process = sluice(t, append([]string{"serve"}, s.flags...)...)
	var serving struct {
		MQTT        string `json:"mqtt"`
		Admin       string `json:"admin"`
		EmbeddedBus string `json:"embedded_bus"`
	}
	if err := json.Unmarshal([]byte(s.Line(`"msg":"serving"`)), &serving); err != nil {
		t.Fatal(err)
	}
	s.mqtt, s.admin = serving.MQTT, serving.Admin
	s.bus = []string{"--set", "bus.embedded.listen=" + serving.EmbeddedBus}
	if serving.EmbeddedBus == "" {
		s.bus = flags
	}
	return s
}

func (s *server) run(t *testing.T, args ...string) *rig.Process {
	t.Helper()
	return sluice(t, append(args, s.bus...)...)
}

// expectEnd waits for the end of a command and checks its status and what it printed.
func expectEnd(t *testing.T, p *rig.Process, status int, parts ...string) {
	t.Helper()
	if got := p.Wait(); got != status {
		t.Errorf("status %d, want %d; it printed:\n%s", got, status, p.Output())
	}
	for _, part := range parts {
		if !strings.Contains(p.Output(), part) {
			t.Errorf("%q is missing in:\n%s", part, p.Output())
		}
	}
}

// serve, tail, send and check work together as the README has it.
func TestCommands(t *testing.T) {
	t.Parallel()
	for _, b := range commandBackends(t) {
		t.Run(b.Name, func(t *testing.T) {
			t.Parallel()
			s := serve(t, b.flags...)
			checkTail(t, b, s)
			checkSend(t, b, s)
			expectEnd(t, sluice(t, "check", "--set", "mqtt.tcp.listen="+s.mqtt), 1, "devices   FAILED: mqtt.tcp.listen", s.mqtt,
				"serve would not work with this configuration now")
			s.Terminate()
			expectEnd(t, s.Process, 0, `"msg":"stopping`, `"msg":"stopped"`)
			expectEnd(t, sluice(t, append([]string{"check"}, s.flags...)...), 0, "devices   MQTT over TCP on 127.0.0.1:0", "bus       ", b.checked, "all well")
			if kept := !strings.Contains(s.Stdout(), "NOTHING IS KEPT"); kept != b.kept {
				t.Errorf("the banner is:\n%s", s.Stdout())
			}
		})
	}
}

// checkTail: tail prints what a device publishes, with where it went and all its properties.
func checkTail(t *testing.T, b commandBackend, s *server) {
	t.Helper()
	prefix := rig.Prefix(t)
	tail := s.run(t, "tail", prefix+"/#", "-n", "2")
	tail.Line("listening to " + prefix + "/#")
	for _, args := range [][]string{{"-m", "21.5", "-D", "publish", "content-type", "text/plain", "-D", "publish", "user-property", "unit", "C"}, {"-m", "last"}} {
		rig.Run(t, rig.Env(t, rig.EnvMosquittoPub), append([]string{"-V", "5", "-p", port(s.mqtt), "-i", prefix, "-q", "1", "-t", prefix + "/hall"}, args...)...).Succeed()
	}
	expectEnd(t, tail, 0, prefix+"/hall  qos=1  4 bytes\n", "    address: "+b.Dialect.ToTopic(prefix+"/hall")+"\n", "    message-id: ",
		"    content-type: text/plain\n", "    unit: C\n", "    @x-opt-sluice-client: "+prefix+"\n", "    payload: 21.5\n", "    payload: last\n")
	expectEnd(t, s.run(t, "tail", "a#"), 1, `FILTER "a#"`)
}

// checkSend: send reaches a device with all its flags, and says so when it reaches nobody.
func checkSend(t *testing.T, b commandBackend, s *server) {
	t.Helper()
	prefix := rig.Prefix(t)
	topic := prefix + "/on"
	if b.Dialect.TellsUnrouted() {
		expectEnd(t, s.run(t, "send", topic, "x"), 1, "released: nobody subscribes to this topic")
	}
	d := mqtttest.Dial(t, s.mqtt, packet.V5)
	d.Connect(mqtttest.ClientID(prefix))
	d.Subscribe(topic, 2)
	send := s.run(t, "send", topic, "on", "--qos", "2", "--content-type", "text/plain", "--property", "b=1", "--property", "a=2",
		"--ttl", "10m", "--reply-to", prefix+"/reply", "--correlation-id", "42")
	expectEnd(t, send, 0, "accepted: 2 bytes to "+topic)
	m := d.Collect(1)[0]
	p := m.Properties
	if string(m.Payload) != "on" || m.QoS != 2 || p.ContentType != "text/plain" || p.ResponseTopic != prefix+"/reply" || string(p.CorrelationData) != "42" {
		t.Errorf("the device got %q with %+v", m.Payload, p)
	}
	if p.MessageExpiry > 600 || p.MessageExpiry < 500 {
		t.Errorf("Message Expiry is %d s, want about 600", p.MessageExpiry)
	}
	user := map[string]string{}
	for _, u := range p.User {
		user[u.Key] = u.Value
	}
	if user["a"] != "2" || user["b"] != "1" {
		t.Errorf("User Properties are %v", p.User)
	}
	expectEnd(t, s.run(t, "send", topic, "kept", "--retain"), 0, "accepted: 4 bytes to "+topic)
	if m := d.Collect(1)[0]; string(m.Payload) != "kept" {
		t.Errorf("the device got %q", m.Payload)
	}
	rig.Eventually(t, "the message is retained", func() error {
		late := mqtttest.Dial(t, s.mqtt, packet.V5)
		defer late.Disconnect()
		late.Connect(mqtttest.ClientID(prefix + "-late"))
		late.Subscribe(topic, 0)
		d.Publish(topic, []byte("end"), 0)
		d.Collect(1)
		if m := late.Collect(1)[0]; string(m.Payload) != "kept" || !m.Retain {
			return fmt.Errorf("got %q", m.Payload)
		}
		return nil
	})
	expectEnd(t, s.run(t, "send", topic, "", "--retain"), 0, "accepted: 0 bytes to "+topic)
	d.Disconnect()
	expectEnd(t, s.run(t, "send", "a/#", "x"), 1, `TOPIC "a/#"`)
}

// What cannot work is refused at start, with the key, the value and what to do.
func TestServeRefuses(t *testing.T) {
	t.Parallel()
	n := rig.Start(t, rig.Embedded())
	file := filepath.Join(t.TempDir(), "sluice.yaml")
	if err := os.WriteFile(file, []byte("mqtt:\n  tcp:\n    lisen: 127.0.0.1:0\nsessions:\n  expiry_max: 7 days\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	free := []string{"--set", "mqtt.tcp.listen=127.0.0.1:0", "--set", "bus.embedded.listen=127.0.0.1:0", "--set", "admin.listen=off"}
	for _, c := range []struct {
		name string
		args []string
		says []string
	}{
		{"taken port", []string{"--set", "mqtt.tcp.listen=" + n.TCP}, []string{"mqtt.tcp.listen", n.TCP}},
		{"taken port of the bus", []string{"--set", "bus.embedded.listen=" + n.EmbeddedBus}, []string{"bus.embedded.listen", n.EmbeddedBus}},
		{"taken port of admin", []string{"--set", "admin.listen=" + n.Admin}, []string{"admin.listen", n.Admin}},
		{"unknown key", []string{"--set", "mqtt.tcp.lisen=127.0.0.1:0"}, []string{"mqtt.tcp.lisen: unknown key", "did you mean mqtt.tcp.listen?"}},
		{"wrong type", []string{"--set", "mqtt.window=many"}, []string{`mqtt.window: "many" is not a whole number from 1 to 16382`}},
		{"impossible value", []string{"--set", "mqtt.window=0"}, []string{`mqtt.window: "0" is not a whole number from 1 to 16382`}},
		{"time without unit", []string{"--set", "bus.grace=30"}, []string{`bus.grace: "30"`, "write it like 500ms, 30s"}},
		{"no listener", []string{"--set", "mqtt.tcp.listen=off"}, []string{"mqtt.tcp.listen, mqtt.tls.listen, mqtt.ws.listen and mqtt.wss.listen are all off"}},
		{"all faults of a file", []string{"--config", file}, []string{"mqtt.tcp.lisen: unknown key", `sessions.expiry_max: "7 days"`}},
		{"no file", []string{"--config", file + ".missing"}, []string{file + ".missing"}},
		{"secrets stay secret", []string{"--set", "bus.url=ftp://user:secret@host"}, []string{"bus.url", "amqp://"}},
		{"no store", []string{"--set", "sessions.url=redis://127.0.0.1:1"}, []string{"sessions.url", "look whether Redis runs there"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := sluice(t, append(append([]string{"serve"}, free...), c.args...)...)
			expectEnd(t, p, 1, c.says...)
			if strings.Contains(p.Output(), "secret") {
				t.Errorf("a password is shown:\n%s", p.Output())
			}
			if p.Stdout() != "" {
				t.Errorf("a banner is printed:\n%s", p.Stdout())
			}
		})
	}
}

// A bus that refuses the credentials is told from one that is not there.
func TestCheckTellsWhyTheBusCannotBeUsed(t *testing.T) {
	t.Parallel()
	u, err := url.Parse(rig.Env(t, rig.EnvRabbitMQ))
	if err != nil {
		t.Fatal(err)
	}
	u.User = url.UserPassword("nobody", "secret")
	for _, c := range []struct{ name, url, says string }{
		{"wrong password", u.String(), u.Host + ": the bus refuses the user or the password; put the right ones into bus.url"},
		{"nobody listens", "amqp://127.0.0.1:1", "127.0.0.1:1: connect: connection refused; look whether the bus runs there"},
		{"no TLS there", "amqps://" + u.Host, "on TLS with amqps://, without it with amqp://"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			p := sluice(t, "check", "--set", "bus.url="+c.url, "--set", "bus.kind=rabbitmq", "--set", "mqtt.tcp.listen=127.0.0.1:0", "--set", "admin.listen=off")
			expectEnd(t, p, 1, "bus       FAILED: bus.url: ", c.says)
			if strings.Contains(p.Output(), "secret") {
				t.Errorf("a password is shown:\n%s", p.Output())
			}
		})
	}
}

func TestVersion(t *testing.T) {
	t.Parallel()
	p := sluice(t, "version")
	expectEnd(t, p, 0, "sluice ", "go1.")
	if lines := strings.Count(p.Output(), "\n"); lines != 1 {
		t.Errorf("version printed %d lines:\n%s", lines, p.Output())
	}
}

// The three commands that serve suggests work as they are printed.
func TestBannersCommands(t *testing.T) {
	t.Parallel()
	s := serve(t, "--set", "bus.embedded.listen=127.0.0.1:0")
	s.Line("sluice send commands/hall on")
	program, err := binary()
	if err != nil {
		t.Fatal(err)
	}
	var commands []string
	for l := range strings.Lines(s.Stdout()) {
		if l = strings.TrimSpace(l); strings.HasPrefix(l, program+" ") || strings.HasPrefix(l, "mosquitto_") {
			commands = append(commands, l)
		}
	}
	if len(commands) != 3 {
		t.Fatalf("the banner suggests %q", commands)
	}
	tail := shell(t, "exec "+commands[0])
	tail.Line("listening to sensors/#")
	subscriber := shell(t, "exec "+commands[1])
	rig.Eventually(t, "the subscriber of the banner is there", func() error {
		if send := s.run(t, "send", "commands/ready", "?"); send.Wait() != 0 {
			return &packet.Error{Detail: send.Output()}
		}
		return nil
	})
	shell(t, commands[2]).Succeed()
	subscriber.Line("commands/hall on")
	tail.Line("sensors/hall  qos=1  4 bytes")
	tail.Terminate()
	expectEnd(t, tail, 0, "payload: 21.5")
}

// shell runs a line as a person would who has mosquitto on the path.
func shell(t *testing.T, line string) *rig.Process {
	t.Helper()
	dirs := []string{filepath.Dir(rig.Env(t, rig.EnvMosquittoPub)), os.Getenv("PATH")}
	return rig.Run(t, "/usr/bin/env", "PATH="+strings.Join(dirs, ":"), "sh", "-c", line)
}
