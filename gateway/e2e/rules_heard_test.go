package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"sluice/amqp/message"
	"sluice/gateway/e2e/rig"
	"sluice/mapping"
	"sluice/mqtt/mqtttest"
	"sluice/mqtt/packet"
)

// heardRules send topics under a prefix to exchanges of their own: of one the keys say all of the topic, of the other they do not.
func heardRules(prefix string) string {
	return strings.ReplaceAll(`
rules:
  - name: plant
    topic: PREFIX/plant/{site}/{kind}
    exchange: PREFIX-plant
    key: "{site}.{kind}"
  - name: meter
    topic: PREFIX/meter/{id}/{what}
    exchange: PREFIX-meter
    key: "{id}"
  - name: commands
    direction: down
    exchange: PREFIX-plant
    key: dev-{device}.do.{command}
    topic: PREFIX/commands/{device}/{command}
`, "PREFIX", prefix)
}

// ruleBackend makes what heardRules name.
func ruleBackend(t *testing.T, b rig.Backend) (prefix string) {
	t.Helper()
	prefix = rig.Prefix(t)
	rig.Exchange(t, b, prefix+"-plant")
	rig.Exchange(t, b, prefix+"-meter")
	return prefix
}

// listener is a device with subscriptions of one QoS.
func listener(t *testing.T, address, id string, qos packet.QoS, filters ...string) *mqtttest.Device {
	t.Helper()
	d := mqtttest.Dial(t, address, packet.V5)
	d.Connect(mqtttest.Persistent(id, 600))
	for _, f := range filters {
		if r := d.Subscribe(f, qos); r != packet.ReasonCode(qos) {
			t.Fatalf("SUBSCRIBE %s: %v", f, r)
		}
	}
	return d
}

// expect takes n messages and compares their payloads, in order.
func expect(t *testing.T, who string, d *mqtttest.Device, want ...string) {
	t.Helper()
	var got []string
	for _, p := range d.Collect(len(want)) {
		got = append(got, string(p.Payload))
	}
	if !slices.Equal(got, want) {
		t.Errorf("%s got %q, want %q", who, got, want)
	}
}

func plantMessage(prefix, key, payload string) *message.Message {
	return &message.Message{
		Header:     message.Header{Durable: true, Priority: message.DefaultPriority},
		Properties: message.Properties{To: mapping.RabbitMQ.To(prefix+"-plant", key)},
		Data:       [][]byte{[]byte(payload)},
	}
}

// What a rule sends to an exchange of its own is heard by devices that subscribe by topic, whatever the QoS, each message once; so is what a backend
// sends there.
func TestSubscriptionsHearWhatRulesSend(t *testing.T) {
	rig.EachWithExchanges(t, func(t *testing.T, b rig.Backend) {
		prefix := ruleBackend(t, b)
		n := rig.StartWith(t, b, heardRules(prefix), b.OwnSessions()...)
		bus := rig.OpenBus(t, n)
		filters := []string{prefix + "/plant/#", prefix + "/plant/hall/+", prefix + "/plant/+/temp"}
		var heard []*mqtttest.Device
		for qos := range packet.QoS(3) {
			heard = append(heard, listener(t, n.TCP, fmt.Sprint(prefix, "-", qos), qos, filters[qos]))
		}
		all := listener(t, n.TCP, prefix+"-all", 1, prefix+"/#", prefix+"/plant/hall/temp")
		d := mqtttest.Dial(t, n.TCP, packet.V5)
		d.Connect(mqtttest.ClientID(prefix+"-device"), func(c *packet.Connect) {
			c.Will = &packet.Will{Topic: prefix + "/plant/hall/temp", Payload: []byte("will"), QoS: 1}
		})
		for qos := range packet.QoS(3) {
			if r := d.Publish(prefix+"/plant/hall/temp", []byte{'0' + byte(qos)}, qos); r != packet.Success {
				t.Errorf("QoS %d: %v", qos, r)
			}
			for _, l := range append(heard, all) { // QoS 0 goes by a link of its own: one after the other keeps the order
				expect(t, "a listener", l, strconv.Itoa(int(qos)))
			}
		}
		bus.Send(plantMessage(prefix, "hall.temp", "backend"))
		for _, l := range append(heard, all) {
			if p := l.Collect(1)[0]; p.Topic != prefix+"/plant/hall/temp" || string(p.Payload) != "backend" {
				t.Errorf("of the backend: %q on %s", p.Payload, p.Topic)
			}
		}
		bus.Send(plantMessage(prefix, "dev-7.do.on", "command"))
		if p := all.Collect(1)[0]; p.Topic != prefix+"/commands/7/on" || string(p.Payload) != "command" {
			t.Errorf("by the rule for the way down: %q on %s", p.Payload, p.Topic)
		}
		d.Close()
		for _, l := range append(heard, all) {
			expect(t, "a listener", l, "will")
		}
		for _, l := range append(heard, all) {
			l.ExpectNothing(50 * time.Millisecond)
		}
	})
}

// A message of another topic under the same key spills into the lanes. It reaches whom it is for, once, and nobody else.
func TestKeysThatDoNotSayAllOfTheTopic(t *testing.T) {
	rig.EachWithExchanges(t, func(t *testing.T, b rig.Backend) {
		prefix := ruleBackend(t, b)
		n := rig.StartWith(t, b, heardRules(prefix), b.OwnSessions()...)
		d := listener(t, n.TCP, prefix+"-both", 1, prefix+"/meter/7/volts")
		if r := d.Subscribe(prefix+"/meter/7/amps", 0); r != 0 {
			t.Fatal(r)
		}
		other := listener(t, n.TCP, prefix+"-other", 0, prefix+"/meter/+/watts")
		member := listener(t, n.TCP, prefix+"-member", 1, "$share/g/"+prefix+"/meter/7/volts")
		p := mqtttest.Dial(t, n.TCP, packet.V5)
		p.Connect(mqtttest.ClientID(prefix + "-publisher"))
		var amps, volts []string
		for i := range 20 {
			for _, what := range []string{"amps", "watts", "volts"} {
				if r := p.Publish(prefix+"/meter/7/"+what, []byte(what+strconv.Itoa(i)), 1); r != packet.Success {
					t.Fatalf("%s: %v", what, r)
				}
			}
			amps, volts = append(amps, "amps"+strconv.Itoa(i)), append(volts, "volts"+strconv.Itoa(i))
		}
		byTopic := map[string][]string{}
		for _, m := range d.Collect(40) {
			byTopic[m.Topic] = append(byTopic[m.Topic], string(m.Payload))
		}
		if !slices.Equal(byTopic[prefix+"/meter/7/amps"], amps) || !slices.Equal(byTopic[prefix+"/meter/7/volts"], volts) {
			t.Errorf("got %q", byTopic)
		}
		expect(t, "the member", member, volts...)
		for i := range 20 {
			expect(t, "who wants the third", other, "watts"+strconv.Itoa(i))
		}
		for _, l := range []*mqtttest.Device{d, other, member} {
			l.ExpectNothing(50 * time.Millisecond)
		}
	})
}

// Messages wait for a device that is away, are shared by groups over nodes, are retained; and a subscription that ends takes no binding along that
// another needs.
func TestWhatRulesSendWaitsIsSharedAndRetained(t *testing.T) {
	rig.EachWithExchanges(t, func(t *testing.T, b rig.Backend) {
		prefix := ruleBackend(t, b)
		set := append(b.OwnSessions(), "retained.queue=off")
		first := rig.StartWith(t, b, heardRules(prefix), set...)
		second := first
		if b.Shared {
			second = rig.StartWith(t, b, heardRules(prefix), set...)
		}
		bus := rig.OpenBus(t, first)
		hall := prefix + "/plant/hall/"

		away := listener(t, first.TCP, prefix+"-away", 1, prefix+"/plant/hall/+", hall+"temp")
		away.Disconnect()
		var members []*rig.Process
		for _, n := range []*rig.Node{first, second} {
			members = append(members, member(t, n, bus, 5, "$share/g/"+prefix+"/plant/#", 2))
		}
		d := mqtttest.Dial(t, second.TCP, packet.V5)
		d.Connect(mqtttest.ClientID(prefix + "-device"))
		d.Send(&packet.Publish{ID: d.NextID(), QoS: 1, Retain: true, Topic: hall + "state", Payload: []byte("retained")})
		if a := mqtttest.Expect[*packet.Ack](d); a.Reason != packet.Success {
			t.Fatalf("retained: %v", a.Reason)
		}
		want := []string{"retained"}
		for i := range 30 {
			d.Publish(hall+"temp", []byte(strconv.Itoa(i)), packet.QoS(1+i%2))
			want = append(want, strconv.Itoa(i))
		}
		expect(t, "who asks later", listener(t, first.TCP, prefix+"-later", 1, prefix+"/plant/hall/#"), "retained")

		back := mqtttest.Dial(t, second.TCP, packet.V5)
		back.Connect(mqtttest.Persistent(prefix+"-away", 600))
		expect(t, "who was away", back, want...)
		rig.Eventually(t, "the group has each message once", func() error {
			if got := comeTo(t, members, hall+"temp"); len(got) != 30 {
				return fmt.Errorf("%v", got)
			}
			return nil
		})
		for payload, times := range comeTo(t, members, hall+"temp") {
			if times != 1 {
				t.Errorf("the group got %q %d times", payload, times)
			}
		}

		// Both filters need the binding of the second.
		endSubscription(back, prefix+"/plant/hall/+")
		d.Publish(hall+"temp", []byte("still"), 1)
		d.Publish(hall+"other", []byte("not this"), 1)
		expect(t, "who keeps one filter", back, "still")
		endSubscription(back, hall+"temp")
		d.Publish(hall+"temp", []byte("not this"), 1)
		back.ExpectNothing(50 * time.Millisecond)
		if o := bus.Publish(plantMessage(prefix, "nobody.listens.here", "x")); o.Kind != message.Released {
			t.Errorf("something is bound to more than it needs: %v", o.Kind)
		}
	})
}

func endSubscription(d *mqtttest.Device, filter string) {
	d.Send(&packet.Unsubscribe{ID: d.NextID(), Filters: []string{filter}})
	mqtttest.Expect[*packet.Unsuback](d)
}

// A node is killed in the middle; the devices go on at the other one, and hear everything.
func TestWhatRulesSendSurvivesANode(t *testing.T) {
	b := rig.Real(t)
	prefix := ruleBackend(t, b)
	file := filepath.Join(t.TempDir(), "sluice.yaml")
	if err := os.WriteFile(file, []byte(heardRules(prefix)), 0o600); err != nil {
		t.Fatal(err)
	}
	flags := []string{"-c", file, "--set", "bus.url=" + rig.Env(t, rig.EnvRabbitMQ), "--set", b.OwnSessions()[0], "--set", "retained.queue=off"}
	first := serve(t, append(flags, "--set", "node.id="+prefix+"-1")...)
	second := serve(t, append(flags, "--set", "node.id="+prefix+"-2")...)
	topic := prefix + "/plant/hall/temp"
	d := listener(t, first.mqtt, prefix+"-listener", 2, prefix+"/plant/+/temp")
	p := mqtttest.Dial(t, second.mqtt, packet.V5)
	p.Connect(mqtttest.ClientID(prefix + "-publisher"))
	var want []string
	for i := range 60 {
		if i == 20 {
			first.Kill()
		}
		if r := p.Publish(topic, []byte(strconv.Itoa(i)), 2); r != packet.Success {
			t.Fatalf("message %d: %v", i, r)
		}
		want = append(want, strconv.Itoa(i))
	}
	d.Close()
	back := mqtttest.Dial(t, second.mqtt, packet.V5)
	back.SetTimeout(2 * time.Minute)
	if c := back.Connect(mqtttest.Persistent(prefix+"-listener", 600)); !c.SessionPresent {
		t.Fatalf("the session is gone: %v", c.Reason)
	}
	expect(t, "the listener", back, want...)
	back.ExpectNothing(100 * time.Millisecond)
}

// An exchange of a rule goes away while devices publish to it at QoS 0: nobody else's messages are lost, on the same link of the bus or by the same
// subscriber. When it is back, the subscriptions hear it again by themselves.
func TestAnExchangeThatGoesAwayHarmsNobodyElse(t *testing.T) {
	rig.EachWithExchanges(t, func(t *testing.T, b rig.Backend) {
		prefix := ruleBackend(t, b)
		n := rig.StartWith(t, b, heardRules(prefix), b.OwnSessions()...)
		// Devices share few links: with this many, some are on that of the one whose rule fails.
		var others []*mqtttest.Device
		for i := range 16 {
			d := mqtttest.Dial(t, n.TCP, packet.V311)
			d.Connect(mqtttest.ClientID(fmt.Sprintf("%s-other-%d", prefix, i)))
			others = append(others, d)
		}
		heard := listener(t, n.TCP, prefix+"-heard", 0, prefix+"/other", prefix+"/plant/hall/+")
		waiting := listener(t, n.TCP, prefix+"-waiting", 1, prefix+"/plant/quiet/+")
		p := mqtttest.Dial(t, n.TCP, packet.V5)
		p.Connect(mqtttest.ClientID(prefix + "-ruled"))
		p.Publish(prefix+"/plant/hall/temp", []byte("before"), 1)
		p.Publish(prefix+"/plant/quiet/temp", []byte("before"), 1)
		expect(t, "the subscriber", heard, "before")
		expect(t, "the other subscriber", waiting, "before")
		rig.RemoveExchange(t, n.BusURL, prefix+"-plant")
		for round := range 20 {
			for range 10 {
				p.Publish(prefix+"/plant/hall/temp", []byte("nowhere"), 0)
			}
			for i, d := range others {
				d.Publish(prefix+"/other", []byte(fmt.Sprint(round, "-", i)), 0)
			}
			came := map[string]bool{}
			for _, m := range heard.Collect(len(others)) {
				came[string(m.Payload)] = true
			}
			for i := range others {
				if !came[fmt.Sprint(round, "-", i)] {
					t.Fatalf("round %d: what device %d sent is lost: %v", round, i, came)
				}
			}
		}
		if r := p.Publish(prefix+"/plant/hall/temp", nil, 1); r != packet.TopicNameInvalid {
			t.Errorf("at QoS 1: %v", r)
		}
		if r := heard.Subscribe(prefix+"/plant/+/more", 1); r != 1 {
			t.Errorf("a subscription under the rule: %v", r)
		}
		rig.MakeExchange(t, n.BusURL, prefix+"-plant")
		for site, d := range map[string]*mqtttest.Device{"hall": heard, "quiet": waiting} { // each by the binding of one inbox
			rig.Eventually(t, "an inbox is bound again", func() error {
				if r := p.Publish(prefix+"/plant/"+site+"/temp", []byte("back"), 1); r != packet.Success {
					return fmt.Errorf("%v", r)
				}
				return nil
			})
			expect(t, "the listener of "+site, d, "back")
		}
	})
}

// A node does not start when the bus has not got what a rule names, and check says why beforehand.
func TestANodeWithoutItsExchangeDoesNotStart(t *testing.T) {
	prefix := rig.Prefix(t)
	file := filepath.Join(t.TempDir(), "sluice.yaml")
	if err := os.WriteFile(file, []byte(heardRules(prefix)), 0o600); err != nil {
		t.Fatal(err)
	}
	flags := []string{"-c", file, "--set", "bus.url=" + rig.Env(t, rig.EnvRabbitMQ), "--set", "mqtt.tcp.listen=127.0.0.1:0", "--set", "admin.listen=off"}
	why := []string{`the exchange "` + prefix + `-plant" of rule 1 (plant), 3 (commands) is not on the bus; make it there`, `the exchange "` + prefix + `-meter" of rule 2 (meter)`}
	expectEnd(t, sluice(t, append([]string{"serve"}, flags...)...), 1, why...)
	expectEnd(t, sluice(t, append([]string{"check"}, flags...)...), 1, why...)
	rig.Exchange(t, rig.Real(t), prefix+"-plant")
	rig.Exchange(t, rig.Real(t), prefix+"-meter")
	expectEnd(t, sluice(t, append([]string{"check"}, flags...)...), 0, "what rules name is there: 2 exchanges and queues")
}

// The rules change between two connections of a session: its bindings follow when it comes back.
func TestBindingsFollowTheRules(t *testing.T) {
	b := rig.Real(t)
	prefix := ruleBackend(t, b)
	before := rig.Start(t, b, b.OwnSessions()...)
	d := listener(t, before.TCP, prefix+"-d", 1, prefix+"/plant/hall/temp")
	d.Disconnect()
	before.Stop(t)
	after := rig.StartWith(t, b, heardRules(prefix), b.OwnSessions()...)
	bus := rig.OpenBus(t, after)
	d = mqtttest.Dial(t, after.TCP, packet.V5)
	if c := d.Connect(mqtttest.Persistent(prefix+"-d", 600)); !c.SessionPresent {
		t.Fatal("the session is gone")
	}
	rig.Eventually(t, "the session is bound as the new rules ask", func() error {
		if o := bus.Publish(plantMessage(prefix, "hall.temp", "heard")); o.Kind != message.Accepted {
			return fmt.Errorf("%v", o.Kind)
		}
		return nil
	})
	if m := d.Collect(1)[0]; m.Topic != prefix+"/plant/hall/temp" || string(m.Payload) != "heard" {
		t.Errorf("got %q on %s", m.Payload, m.Topic)
	}
}
