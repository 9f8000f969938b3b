package e2e

import (
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"

	"sluice/gateway/e2e/rig"
	"sluice/mqtt/mqtttest"
	"sluice/mqtt/packet"
)

// Each group gets a message at the QoS that its member was granted [MQTT-4.8.2-3].
func TestSharedAtTheGrantedQoS(t *testing.T) {
	const messages = 10
	rig.Each(t, func(t *testing.T, b rig.Backend) {
		first, second := rig.Pair(t, b)
		rig.Versions(t, func(t *testing.T, v packet.Version) {
			topic := rig.Prefix(t)
			members := []*mqtttest.Device{}
			for qos := range packet.QoS(3) {
				d, _ := rig.Dial(t, second, v)
				if r := d.Subscribe(fmt.Sprintf("$share/g%d/%s", qos, topic), qos); r != packet.ReasonCode(qos) {
					t.Fatalf("SUBACK %v", r)
				}
				members = append(members, d)
			}
			from, _ := rig.Dial(t, first, v)
			for sent := range packet.QoS(3) {
				for i := range messages {
					from.Publish(topic, fmt.Append(nil, i), sent)
				}
				for granted, d := range members {
					for _, m := range d.Collect(messages) {
						if want := min(sent, packet.QoS(granted)); m.QoS != want {
							t.Errorf("sent at QoS %d, granted %d, got %s", sent, granted, mqtttest.Describe(m))
						}
					}
				}
			}
		})
	})
}

// A session with a subscription of its own and one of a group gets two copies, each with the identifier of its subscription [MQTT-3.3.4-5].
func TestSharedCopyHasItsOwnIdentifier(t *testing.T) {
	rig.Each(t, func(t *testing.T, b rig.Backend) {
		first, second := rig.Pair(t, b)
		for qos := range packet.QoS(3) {
			topic := rig.Prefix(t)
			d, _ := rig.Dial(t, second, packet.V5)
			for i, filter := range []string{topic, "$share/g/" + topic, "$share/h/" + topic} {
				s := &packet.Subscribe{ID: d.NextID(), Subscriptions: []packet.Subscription{{Filter: filter, QoS: qos}}}
				s.Properties.AddSubscriptionID(uint32(i + 1))
				d.Send(s)
				mqtttest.Expect[*packet.Suback](d)
			}
			from, _ := rig.Dial(t, first, packet.V5)
			from.Publish(topic, nil, 2)
			got := map[uint32]int{}
			for _, m := range d.Collect(3) {
				for _, id := range m.Properties.SubscriptionIDs {
					got[id]++
				}
			}
			if diff := cmp.Diff(map[uint32]int{1: 1, 2: 1, 3: 1}, got); diff != "" {
				t.Errorf("QoS %d: identifiers (-want +got):\n%s", qos, diff)
			}
			d.ExpectNothing(quiet)
		}
	})
}
