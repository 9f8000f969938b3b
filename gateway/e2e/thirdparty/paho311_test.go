package thirdparty

import (
	"errors"
	"fmt"
	"path/filepath"
	"sync"
	"time"

	mqtt "github.com/eclipse/paho.mqtt.golang"

	"sluice/gateway/e2e/rig"
	"sluice/mqtt/packet"
)

// quiesce is how long the library may take to send what is under way before DISCONNECT; only a broken connection takes all of it.
const quiesce = 5 * time.Second

// paho311 is a connection of paho.mqtt.golang.
type paho311 struct {
	client mqtt.Client

	mu             sync.Mutex
	unacknowledged []mqtt.Message
}

func connectPaho311(s *stage, d *device, o options) (library, connack, error) {
	p := &paho311{}
	set := mqtt.NewClientOptions().AddBroker(o.url).SetProtocolVersion(uint(packet.V311)).SetClientID(o.id).SetCleanSession(o.clean).
		SetKeepAlive(time.Duration(o.keepAlive) * time.Second).SetConnectTimeout(rig.Patience).SetAutoReconnect(o.reconnect).SetMaxReconnectInterval(20 * time.Millisecond).
		SetAutoAckDisabled(o.manual).
		SetDefaultPublishHandler(func(_ mqtt.Client, m mqtt.Message) {
			if o.manual {
				p.mu.Lock()
				p.unacknowledged = append(p.unacknowledged, m)
				p.mu.Unlock()
			}
			d.messages.add(message{Topic: m.Topic(), Payload: string(m.Payload()), QoS: m.Qos(), Retain: m.Retained()})
		}).
		SetConnectionLostHandler(func(mqtt.Client, error) { d.ends.add(ending{}) }).
		SetOnConnectHandler(func(mqtt.Client) { d.ups.add(struct{}{}) })
	if w := o.will; w != nil {
		set.SetBinaryWill(w.Topic, []byte(w.Payload), w.QoS, w.Retain)
	}
	if o.reconnect {
		// In the store that is default the library marks a PUBLISH as a duplicate while it may still be writing it.
		set.SetStore(mqtt.NewFileStore(filepath.Join(s.directory, o.id)))
	}
	p.client = mqtt.NewClient(set)
	token := p.client.Connect().(*mqtt.ConnectToken)
	if err := wait(token); err != nil {
		p.abandon()
		return nil, connack{}, err
	}
	return p, connack{present: token.SessionPresent()}, nil
}

func wait(t mqtt.Token) error {
	if !t.WaitTimeout(rig.Patience) {
		return errors.New("paho.mqtt.golang has no answer")
	}
	return t.Error()
}

func (p *paho311) subscribe(r request) (reasons []packet.ReasonCode, err error) {
	filters := map[string]byte{}
	for _, f := range r.filters {
		filters[f.Filter] = f.QoS
	}
	token := p.client.SubscribeMultiple(filters, nil).(*mqtt.SubscribeToken)
	err = wait(token)
	for _, f := range r.filters {
		reasons = append(reasons, packet.ReasonCode(token.Result()[f.Filter]))
	}
	return reasons, err
}

func (p *paho311) unsubscribe(filters ...string) error { return wait(p.client.Unsubscribe(filters...)) }

func (p *paho311) publish(m message) (packet.ReasonCode, error) {
	if !m.none() {
		return 0, fmt.Errorf("MQTT 3.1.1 cannot send %+v", m.extras)
	}
	return packet.Success, wait(p.client.Publish(m.Topic, m.QoS, m.Retain, []byte(m.Payload)))
}

func (p *paho311) acknowledge() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.unacknowledged) == 0 {
		return errors.New("no message waits for its acknowledgement")
	}
	p.unacknowledged[0].Ack()
	p.unacknowledged = p.unacknowledged[1:]
	return nil
}

func (p *paho311) disconnect(leave) error {
	p.client.Disconnect(uint(quiesce / time.Millisecond))
	return nil
}

// abandon: a Disconnect of a client that has none any more does nothing.
func (p *paho311) abandon() { p.client.Disconnect(uint(quiesce / time.Millisecond)) }
