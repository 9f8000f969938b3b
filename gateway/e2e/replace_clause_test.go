package e2e

import (
	"fmt"
	"testing"

	"sluice/gateway/e2e/rig"
	"sluice/mqtt/mqtttest"
	"sluice/mqtt/packet"
)

// A subscription that is replaced again and again, by the same or another QoS, loses no message that it is for ([MQTT-3.8.4-4],
// [3.1.1 MQTT-3.8.4-3]).
func TestReplacingASubscriptionLosesNothing(t *testing.T) {
	const messages, replacements = 60, 20
	rig.Each(t, func(t *testing.T, b rig.Backend) {
		first, second := rig.Pair(t, b)
		rig.Versions(t, func(t *testing.T, v packet.Version) {
			topic := rig.Prefix(t)
			to, _ := rig.Dial(t, first, v)
			to.Subscribe(topic, 1)
			from, _ := rig.Dial(t, second, v)
			for i := range messages {
				// Not waited for: the message and the SUBSCRIBE are under way at the same time.
				from.Send(&packet.Publish{Topic: topic, QoS: 1, ID: packet.ID(i + 1), Payload: fmt.Append(nil, i)})
				if i%(messages/replacements) == 0 {
					to.Send(&packet.Subscribe{ID: to.NextID(), Subscriptions: []packet.Subscription{{Filter: topic, QoS: packet.QoS(1 + i%2)}}})
				}
				from.ExpectAck(packet.PUBACK, packet.ID(i+1))
			}
			for i, m := range to.Collect(messages) {
				if string(m.Payload) != fmt.Sprint(i) || m.QoS != 1 {
					t.Fatalf("message %d: %s, %q", i, mqtttest.Describe(m), m.Payload)
				}
			}
			for range replacements {
				if ack := mqtttest.Expect[*packet.Suback](to); ack.Reasons[0].Failed() {
					t.Errorf("SUBACK has %v", ack.Reasons)
				}
			}
		})
	})
}
