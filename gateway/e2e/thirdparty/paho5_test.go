package thirdparty

import (
	"context"
	"errors"
	"net"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/eclipse/paho.golang/autopaho"
	"github.com/eclipse/paho.golang/paho"
	"github.com/eclipse/paho.golang/paho/extensions/topicaliases"

	"sluice/gateway/e2e/rig"
	"sluice/mqtt/packet"
)

// pahoAliases is how many Topic Aliases the library's extension uses. It fails beyond, so scenarios have fewer topics.
const pahoAliases = 8

// paho5 is a connection of paho.golang: of its package paho, or of autopaho for connections over WebSocket and for those that come back by themselves.
type paho5 struct {
	client pahoClient
	queue  *autopaho.ConnectionManager // for connections that come back by themselves: it keeps what is published meanwhile
	end    func(*paho.Disconnect) error
	close  func()
	ctx    context.Context // ends with abandon
	cancel context.CancelFunc

	mu             sync.Mutex
	unacknowledged []func() error
	leaving        bool
}

// pahoClient is what paho and autopaho have in common.
type pahoClient interface {
	Publish(context.Context, *paho.Publish) (*paho.PublishResponse, error)
	Subscribe(context.Context, *paho.Subscribe) (*paho.Suback, error)
	Unsubscribe(context.Context, *paho.Unsubscribe) (*paho.Unsuback, error)
}

func connectPaho5(_ *stage, d *device, o options) (library, connack, error) {
	p := &paho5{}
	p.ctx, p.cancel = context.WithCancel(context.Background())
	config := paho.ClientConfig{
		ClientID: o.id, PacketTimeout: rig.Patience, EnableManualAcknowledgment: o.manual, SendAcksInterval: time.Millisecond,
		OnServerDisconnect: func(l *paho.Disconnect) { d.ends.add(ending{told: true, reason: packet.ReasonCode(l.ReasonCode)}) },
		OnClientError:      p.failed(d),
		OnPublishReceived:  []func(paho.PublishReceived) (bool, error){p.received(d, o)},
	}
	if o.aliases {
		config.PublishHook = topicaliases.NewTAHandler(pahoAliases).PublishHook
	}
	var answer *paho.Connack
	var err error
	if o.reconnect || strings.HasPrefix(o.url, "ws") {
		answer, err = p.openAuto(config, d, o)
	} else {
		answer, err = p.open(config, d, o)
	}
	if err != nil {
		return nil, connack{}, err
	}
	told := connack{present: answer.SessionPresent}
	if answer.Properties != nil {
		told.assigned = answer.Properties.AssignedClientID
	}
	return p, told, nil
}

// open connects with package paho.
func (p *paho5) open(config paho.ClientConfig, d *device, o options) (*paho.Connack, error) {
	var err error
	if config.Conn, err = net.Dial("tcp", strings.TrimPrefix(o.url, "mqtt://")); err != nil {
		return nil, err
	}
	client := paho.NewClient(config)
	ctx, cancel := p.within()
	defer cancel()
	answer, err := client.Connect(ctx, pahoConnect(o))
	if err != nil {
		return nil, err
	}
	d.ups.add(struct{}{})
	p.client, p.end = client, client.Disconnect
	p.close = func() {
		_ = config.Conn.Close()
		<-client.Done()
	}
	return answer, nil
}

// openAuto connects with package autopaho.
func (p *paho5) openAuto(config paho.ClientConfig, d *device, o options) (*paho.Connack, error) {
	server, err := url.Parse(o.url)
	if err != nil {
		return nil, err
	}
	connacks, failures := make(chan *paho.Connack, 1), make(chan error, 1)
	goodbye := &paho.Disconnect{}
	manager, err := autopaho.NewConnection(p.ctx, autopaho.ClientConfig{
		ServerUrls: []*url.URL{server}, KeepAlive: o.keepAlive, ConnectTimeout: rig.Patience, ClientConfig: config,
		ReconnectBackoff: autopaho.NewConstantBackoff(20 * time.Millisecond),
		OnConnectionUp: func(_ *autopaho.ConnectionManager, a *paho.Connack) {
			select {
			case connacks <- a: // the first
			default:
			}
			d.ups.add(struct{}{})
		},
		OnConnectionDown: func() bool { return o.reconnect },
		OnConnectError: func(err error) {
			select {
			case failures <- err:
			default:
			}
		},
		ConnectPacketBuilder: func(again *paho.Connect, _ *url.URL) (*paho.Connect, error) {
			c := pahoConnect(o)
			c.CleanStart = again.CleanStart
			return c, nil
		},
		CleanStartOnInitialConnection: o.clean,
		DisconnectPacketBuilder:       func() *paho.Disconnect { return goodbye },
	})
	if err != nil {
		return nil, err
	}
	p.client = manager
	if o.reconnect {
		p.queue = manager
	}
	p.close = func() { <-manager.Done() }
	p.end = func(l *paho.Disconnect) error {
		*goodbye = *l // read only after the cancel in Disconnect
		ctx, cancel := p.within()
		defer cancel()
		return manager.Disconnect(ctx)
	}
	wait, cancel := p.within()
	defer cancel()
	select {
	case a := <-connacks:
		return a, nil
	case err := <-failures:
		p.abandon()
		return nil, err
	case <-wait.Done():
		p.abandon()
		return nil, errors.New("autopaho has no CONNACK")
	}
}

// failed is for what ends a connection without DISCONNECT; the library may say it more than once, and after its own end.
func (p *paho5) failed(d *device) func(error) {
	var once sync.Once
	return func(error) {
		p.mu.Lock()
		defer p.mu.Unlock()
		if !p.leaving {
			once.Do(func() { d.ends.add(ending{}) })
		}
	}
}

// received hands a message on. It resolves Topic Aliases with the library's extension, as its router would keep the result for itself.
func (p *paho5) received(d *device, o options) func(paho.PublishReceived) (bool, error) {
	aliases := topicaliases.NewTAHandler(o.aliasMaximum)
	return func(r paho.PublishReceived) (bool, error) {
		m := r.Packet
		if a := m.Properties.TopicAlias; a != nil {
			if m.Topic == "" {
				m.Topic = aliases.GetTopic(*a)
			} else {
				aliases.ResetAlias(m.Topic, *a)
			}
		}
		if o.manual && m.QoS > 0 {
			p.mu.Lock()
			p.unacknowledged = append(p.unacknowledged, func() error { return r.Client.Ack(m) })
			p.mu.Unlock()
		}
		d.messages.add(message{Topic: m.Topic, Payload: string(m.Payload), QoS: m.QoS, Retain: m.Retain, extras: fromPaho(m.Properties)})
		return true, nil
	}
}

// within bounds a call of the library.
func (p *paho5) within() (context.Context, context.CancelFunc) {
	return context.WithTimeout(p.ctx, rig.Patience)
}

func pahoConnect(o options) *paho.Connect {
	c := &paho.Connect{ClientID: o.id, CleanStart: o.clean, KeepAlive: o.keepAlive, Properties: &paho.ConnectProperties{
		SessionExpiryInterval: &o.expiry, RequestProblemInfo: true,
	}}
	if o.receiveMaximum > 0 {
		c.Properties.ReceiveMaximum = &o.receiveMaximum
	}
	if o.maximumPacket > 0 {
		c.Properties.MaximumPacketSize = &o.maximumPacket
	}
	if o.aliasMaximum > 0 {
		c.Properties.TopicAliasMaximum = &o.aliasMaximum
	}
	if w := o.will; w != nil {
		e := toPaho(w.extras)
		c.WillMessage = &paho.WillMessage{Topic: w.Topic, Payload: []byte(w.Payload), QoS: w.QoS, Retain: w.Retain}
		c.WillProperties = &paho.WillProperties{
			WillDelayInterval: &w.Delay, PayloadFormat: e.PayloadFormat, MessageExpiry: e.MessageExpiry, ContentType: e.ContentType,
			ResponseTopic: e.ResponseTopic, CorrelationData: e.CorrelationData, User: e.User,
		}
	}
	return c
}

func toPaho(e extras) *paho.PublishProperties {
	p := &paho.PublishProperties{ContentType: e.ContentType, ResponseTopic: e.ResponseTopic}
	if e.Correlation != "" {
		p.CorrelationData = []byte(e.Correlation)
	}
	if e.Text {
		p.PayloadFormat = paho.Byte(1)
	}
	if e.Expiry > 0 {
		p.MessageExpiry = &e.Expiry
	}
	for _, u := range e.User {
		p.User.Add(keyValue(u))
	}
	return p
}

// fromPaho: the library keeps one Subscription Identifier where there may be several.
func fromPaho(p *paho.PublishProperties) extras {
	e := extras{ContentType: p.ContentType, ResponseTopic: p.ResponseTopic, Correlation: string(p.CorrelationData)}
	e.Text = p.PayloadFormat != nil && *p.PayloadFormat == 1
	if p.MessageExpiry != nil {
		e.Expiry = *p.MessageExpiry
	}
	if p.SubscriptionIdentifier != nil {
		e.Subscriptions = []int{*p.SubscriptionIdentifier}
	}
	for _, u := range p.User {
		e.User = append(e.User, u.Key+"="+u.Value)
	}
	sortUser(e.User)
	return e
}

func (p *paho5) subscribe(r request) (reasons []packet.ReasonCode, err error) {
	s := &paho.Subscribe{}
	if r.id != 0 {
		s.Properties = &paho.SubscribeProperties{SubscriptionIdentifier: &r.id}
	}
	for _, f := range r.filters {
		s.Subscriptions = append(s.Subscriptions, paho.SubscribeOptions{
			Topic: f.Filter, QoS: f.QoS, NoLocal: f.NoLocal, RetainAsPublished: f.RetainAsPublished, RetainHandling: f.RetainHandling,
		})
	}
	ctx, cancel := p.within()
	defer cancel()
	answer, err := p.client.Subscribe(ctx, s)
	if answer != nil {
		for _, reason := range answer.Reasons {
			reasons = append(reasons, packet.ReasonCode(reason))
		}
	}
	return reasons, err
}

func (p *paho5) unsubscribe(filters ...string) error {
	ctx, cancel := p.within()
	defer cancel()
	_, err := p.client.Unsubscribe(ctx, &paho.Unsubscribe{Topics: filters})
	return err
}

func (p *paho5) publish(m message) (packet.ReasonCode, error) {
	ctx, cancel := p.within()
	defer cancel()
	publish := &paho.Publish{Topic: m.Topic, Payload: []byte(m.Payload), QoS: m.QoS, Retain: m.Retain, Properties: toPaho(m.extras)}
	if p.queue != nil {
		return packet.Success, p.queue.PublishViaQueue(ctx, &autopaho.QueuePublish{Publish: publish})
	}
	answer, err := p.client.Publish(ctx, publish)
	if answer == nil {
		return 0, err
	}
	return packet.ReasonCode(answer.ReasonCode), err
}

func (p *paho5) acknowledge() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.unacknowledged) == 0 {
		return errors.New("no message waits for its acknowledgement")
	}
	acknowledge := p.unacknowledged[0]
	p.unacknowledged = p.unacknowledged[1:]
	return acknowledge()
}

func (p *paho5) disconnect(l leave) error {
	p.mu.Lock()
	p.leaving = true
	p.mu.Unlock()
	return p.end(&paho.Disconnect{ReasonCode: byte(l.reason), Properties: &paho.DisconnectProperties{SessionExpiryInterval: l.expiry}})
}

func (p *paho5) abandon() {
	p.mu.Lock()
	p.leaving = true
	p.mu.Unlock()
	p.cancel()
	p.close()
}
