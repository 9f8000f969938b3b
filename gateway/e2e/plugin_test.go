package e2e

import (
	"net/url"
	"testing"

	"sluice/gateway/e2e/rig"
	"sluice/mqtt/mqtttest"
	"sluice/mqtt/packet"
)

// Devices on RabbitMQ's own MQTT support and devices on Sluice hear each other, so that a fleet can move from one to the other.
func TestRabbitMQsOwnMQTT(t *testing.T) {
	t.Parallel()
	n := rig.Start(t, rig.Real(t))
	u, err := url.Parse(rig.Env(t, rig.EnvRabbitMQMQTT))
	if err != nil {
		t.Fatal(err)
	}
	rig.Versions(t, func(t *testing.T, v packet.Version) {
		for qos := range packet.QoS(2) { // the plugin grants no more than QoS 1
			prefix := rig.Prefix(t)
			here, _ := rig.Dial(t, n, v)
			there := mqtttest.Dial(t, u.Host, v)
			connack := there.Connect(mqtttest.ClientID(prefix), func(p *packet.Connect) {
				p.HasUsername, p.Username = true, u.User.Username()
				p.HasPassword = true
				password, _ := u.User.Password()
				p.Password = []byte(password)
			})
			if connack.Reason != packet.Success {
				t.Fatalf("RabbitMQ's CONNACK: %v", connack.Reason)
			}
			// Both have a filter that matches what either sends.
			for _, d := range []*mqtttest.Device{here, there} {
				if r := d.Subscribe(prefix+"/+/b/#", qos); r != packet.ReasonCode(qos) {
					t.Fatalf("SUBACK: %v", r)
				}
			}
			here.Publish(prefix+"/here/b/c d", []byte("from here"), qos)
			for _, d := range []*mqtttest.Device{here, there} {
				checkHeard(t, d, prefix+"/here/b/c d", "from here", qos)
			}
			there.Publish(prefix+"/there/b/ä", []byte("from there"), qos)
			for _, d := range []*mqtttest.Device{here, there} {
				checkHeard(t, d, prefix+"/there/b/ä", "from there", qos)
			}
			here.Disconnect()
			there.Disconnect()
		}
	})
}

func checkHeard(t *testing.T, d *mqtttest.Device, topic, payload string, qos packet.QoS) {
	t.Helper()
	if m := d.Collect(1)[0]; m.Topic != topic || string(m.Payload) != payload || m.QoS != qos {
		t.Errorf("got %s with %q, want %q on %q at QoS %d", mqtttest.Describe(m), m.Payload, payload, topic, qos)
	}
}
