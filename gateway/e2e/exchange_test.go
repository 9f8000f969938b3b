package e2e

import (
	"crypto/rand"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"sluice/gateway/e2e/rig"
)

// largePayload is under the default mqtt.max_packet_size and over every frame size on the way. Three of them, one for each QoS, stay below what may wait
// for a device before QoS 0 messages are dropped (gateway/limits.go, writeHigh).
const largePayload = 80 << 10

// samples are messages under prefix that between them have everything that must cross, at one QoS.
func samples(prefix string, qos byte, properties bool) []deviceMessage {
	large := make([]byte, largePayload)
	_, _ = rand.Read(large) // never fails (crypto/rand)
	all := []deviceMessage{
		{Topic: "empty"},
		{Topic: "nul", Payload: "a\x00b\x00"},
		{Topic: "text", Payload: "ä€😀"},
		{Topic: "large", Payload: hexText(large)},
	}
	if properties {
		all = append(all, deviceMessage{Topic: "properties", Payload: "21.5", extras: extras{
			ContentType: "text/plain; charset=utf-8", ResponseTopic: prefix + "/reply", Correlation: "corr-1", Expiry: 500,
			// Neither sorted nor unique, so that no map alone could carry them.
			User: []string{"b:1", "b:2", "a:x"},
		}})
	}
	for i := range all {
		all[i].Topic, all[i].QoS = fmt.Sprintf("%s/%d/%s", prefix, qos, all[i].Topic), qos
	}
	return all
}

// Each message of a device reaches each backend with all it has.
func TestDeviceToBackend(t *testing.T) {
	rig.Each(t, func(t *testing.T, b rig.Backend) {
		n := rig.Start(t, b)
		bus := rig.OpenBus(t, n)
		for _, d := range devices() {
			t.Run(d.name, func(t *testing.T) {
				prefix := rig.Prefix(t)
				var sent []deviceMessage
				for qos := range byte(3) {
					sent = append(sent, samples(prefix, qos, d.version == 5)...)
				}
				var consumers []func() []backendReceived
				for _, backend := range backends() {
					consumers = append(consumers, backend.consume(t, n, bus.Source(prefix+"/#"), len(sent)))
				}
				d.publish(t, n, d.version, sent)
				for i, consumer := range consumers {
					checkBackendGot(t, b, backends()[i].name, n.Address, sent, consumer())
				}
			})
		}
	})
}

func checkBackendGot(t *testing.T, b rig.Backend, name string, address func(topic string) string, sent []deviceMessage, got []backendReceived) {
	t.Helper()
	if len(got) != len(sent) {
		t.Fatalf("%s got %d messages, want %d", name, len(got), len(sent))
	}
	ids := map[string]bool{}
	for _, want := range sent {
		i := slices.IndexFunc(got, func(m backendReceived) bool { return m.Topic == want.Topic })
		if i < 0 {
			t.Errorf("%s did not get %s", name, want.Topic)
			continue
		}
		m := got[i]
		expected := backendReceived{
			backendMessage: backendMessage{
				Payload: want.Payload, QoS: want.QoS, Durable: want.QoS > 0,
				ContentType: want.ContentType, Correlation: hexText(want.Correlation),
			},
			To: address(want.Topic), Subject: want.Topic, Topic: want.Topic, MessageID: m.MessageID, Client: m.Client,
		}
		if want.ResponseTopic != "" {
			expected.ReplyTo = address(want.ResponseTopic)
		}
		if want.User != nil {
			expected.User, expected.UserList = map[string]string{"b": "1", "a": "x"}, []string{"b", "1", "b", "2", "a", "x"}
		}
		if name := b.Dialect.DuplicateID(); name != "" && want.QoS == 2 {
			if m.User[name] != m.MessageID {
				t.Errorf("%s: %s is %q, want the message-id", want.Topic, name, m.User[name])
			}
			delete(m.User, name)
		}
		// The bus may count a ttl down.
		if most := want.Expiry * 1000; m.TTL > most || most > 0 && m.TTL < most-uint32(rig.Patience/time.Millisecond) {
			t.Errorf("%s: ttl of %s is %d ms, want about %d", name, want.Topic, m.TTL, most)
		}
		m.TTL = 0
		if diff := cmp.Diff(expected, m, cmp.AllowUnexported(backendReceived{}), cmpopts.EquateEmpty()); diff != "" {
			t.Errorf("%s: %s (-want +got):\n%.2000s", name, want.Topic, diff)
		}
		if m.MessageID == "" || ids[m.MessageID] || m.Client == "" {
			t.Errorf("%s: %s has message-id %q, which must be there and its own, and is from client %q", name, want.Topic, m.MessageID, m.Client)
		}
		ids[m.MessageID] = true
	}
}

// Each message of each backend reaches a device with all it has.
func TestBackendToDevice(t *testing.T) {
	rig.Each(t, func(t *testing.T, b rig.Backend) {
		n := rig.Start(t, b)
		bus := rig.OpenBus(t, n)
		for _, d := range devices() {
			t.Run(d.name, func(t *testing.T) {
				prefix := rig.Prefix(t)
				var filters []filter
				for qos := range byte(3) {
					filters = append(filters, filter{fmt.Sprintf("%s/+/%d/#", prefix, qos), qos})
				}
				sent := map[string][]deviceMessage{}
				for _, backend := range backends() {
					for qos := range byte(3) {
						sent[backend.name] = append(sent[backend.name], samples(prefix+"/"+backend.name, qos, true)...)
					}
				}
				messages := d.subscribe(t, n, d.version, filters, len(backends())*len(samples("", 0, true)))
				for _, backend := range backends() {
					sender := backend.send(t, n, backendMessages(n.Address, sent[backend.name]))
					if outcomes := sender.Lines(`"settled"`, len(sent[backend.name])); strings.Count(strings.Join(outcomes, ""), "accepted") != len(outcomes) {
						t.Errorf("%s: not all were accepted: %q", backend.name, outcomes)
					}
					sender.Succeed()
				}
				got := messages()
				checkDeviceGot(t, d.version, slices.Concat(sent["rhea"], sent["proton"]), got)
				for _, f := range filters {
					bus.ExpectNobody(strings.NewReplacer("+", "any", "#", "any").Replace(f.topic))
				}
			})
		}
	})
}

// backendMessages are the same messages in the words of AMQP.
func backendMessages(address func(topic string) string, messages []deviceMessage) (out []backendMessage) {
	for _, m := range messages {
		b := backendMessage{
			Address: address(m.Topic), Payload: m.Payload, QoS: m.QoS, Durable: m.QoS > 0,
			ContentType: m.ContentType, Correlation: hexText(m.Correlation), TTL: m.Expiry * 1000,
		}
		if m.ResponseTopic != "" {
			b.ReplyTo = address(m.ResponseTopic)
		}
		if m.User != nil {
			b.User, b.UserList = map[string]string{"b": "1", "a": "x"}, []string{"b", "1", "b", "2", "a", "x"}
		}
		out = append(out, b)
	}
	return out
}

func checkDeviceGot(t *testing.T, version int, sent []deviceMessage, got []received) {
	t.Helper()
	if len(got) != len(sent) {
		t.Errorf("the device got %d messages, want %d", len(got), len(sent))
	}
	for _, want := range sent {
		i := slices.IndexFunc(got, func(m received) bool { return m.Topic == want.Topic })
		if i < 0 {
			t.Errorf("the device did not get %s", want.Topic)
			continue
		}
		expiry := want.Expiry
		want.Expiry = 0
		if version != 5 {
			want.extras, expiry = extras{}, 0
		}
		if diff := cmp.Diff(want, got[i].deviceMessage, cmp.AllowUnexported(deviceMessage{}), cmpopts.EquateEmpty()); diff != "" {
			t.Errorf("%s (-want +got):\n%.2000s", want.Topic, diff)
		}
		if left := got[i].expiry; left > expiry || expiry > 0 && left < expiry-uint32(rig.Patience/time.Second) {
			t.Errorf("%s expires in %d s, want about %d", want.Topic, left, expiry)
		}
	}
}
