package session

import (
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	"sluice/mqtt/packet"
)

// A script is a list of events, one a line: a word and its arguments, which are flags or key=value; "..." holds spaces. Times
// are relative to the start. The trace repeats each line and lists the effects below it.
//
//	config KEY=N ...                                 before all else; see testConfig
//	open                                             ConnectionOpened
//	connect v=5 id=c clean keepalive=10 expiry=60 rm=2 maxpacket=64 alias=4 rpi=0 auth=x will=TOPIC willqos=1 willretain willdelay=5
//	opened [rm=N] [maxpacket=N] [subsmax=N] [present] [sub=FILTER:QOS[:FLAGS[:ID]]] [in=ID:MSGID[:accepted]] [out=ID:IDENTITY:QOS:ORDER[:released[:done]]] ...
//	refused RC [TEXT] [server=REFERENCE]
//	publish q=1 id=3 t=TOPIC p=PAYLOAD [dup] [retain] [alias=2] [subid=1]
//	puback|pubrec|pubrel|pubcomp ID [RC] [reason=TEXT] [user=K:V]
//	subscribe ID FILTER:QOS[:FLAGS] ... [subid=N]    flags: n no local, r retain as published, 1 or 2 retain handling
//	unsubscribe ID FILTER ...
//	auth [RC method=METHOD data=DATA]
//	continued [DATA], authenticated [DATA]           AuthContinue, AuthSucceeded
//	unauthenticated RC [TEXT]                        AuthFailed
//	pingreq, disconnect [RC] [expiry=N], connack, suback, malformed RC CLAUSE TEXT
//	answered TOKEN RC [TEXT]                         PublishAnswered
//	abandoned TOKEN                                  PublishAbandoned
//	recalled [in=ID:MSGID[:accepted]] ...            Recalled
//	subscribed ID RC ...; unsubscribed ID
//	stored N [fenced|unavailable]
//	attached [lane=FILTER], detached [lane=FILTER]
//	message DELIVERY t=TOPIC q=1 i=IDENTITY p=PAYLOAD [lane=FILTER] [for=FILTER] [retained] [retain] [self] [again] [dup] [content] [seen] [expires=5s]
//	unusable [lane=FILTER]                           MessageUnusable
//	handed DELIVERY [no|elsewhere]                   HandedOver
//	access [deny=FILTER] ... [most=1]                Hooks.Access, before all else; later: what it says now, and AccessChanged unless "quietly"
//	lost; close RC [TEXT] [nowill] [server=REFERENCE]
//	slow 2s                                          SlowDown, from now
//	wait 5s                                          time passes
//	deadline                                         DeadlineReached
//	state                                            prints State
type script struct {
	t      *testing.T
	start  time.Time
	now    time.Time
	cfg    Config
	access *rights // nil: everything may be heard
	m      *Machine
	watch  *watcher
	out    strings.Builder
}

func testConfig() Config {
	return Config{
		ReceiveMaximum: 4, InboundQoS2Max: 6, MaximumPacketSize: 1000, TopicAliasMaximum: 3, OutboundAliasMaximum: 2, OutboundWindow: 4,
		KeepAliveMax: 600, SessionExpiryMax: 3600, SubscriptionsMax: 8,
		ConnectTimeout: 10 * time.Second, LingerTime: 5 * time.Second, OrphanTime: 20 * time.Second,
		RetainAvailable: true, SharedAvailable: true, MaximumQoS: 2,
	}
}

var scriptStart = time.Date(2026, 11, 1, 12, 0, 0, 0, time.UTC)

func runScript(t *testing.T, text string) string {
	s := &script{t: t, start: scriptStart, now: scriptStart, cfg: testConfig()}
	for n, line := range strings.Split(text, "\n") {
		line = strings.TrimSpace(line)
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		a := parseArgs(line)
		s.out.WriteString(line + "\n")
		if err := s.run(a); err != nil {
			t.Fatalf("line %d: %s: %v\n%s", n+1, line, err, s.out.String())
		}
		if a.bad != nil {
			t.Fatalf("line %d: %s: %v", n+1, line, a.bad)
		}
		if left := a.unused(); left != "" {
			t.Fatalf("line %d: %s: %q is not understood", n+1, line, left)
		}
	}
	return s.out.String()
}

func (s *script) run(a *args) error {
	if a.word == "config" {
		return s.config(a)
	}
	if a.word == "access" {
		r := &rights{most: packet.QoS(a.num("most", 2))}
		for v, ok := a.get("deny"); ok; v, ok = a.get("deny") {
			r.denied = append(r.denied, v)
		}
		if s.m == nil {
			s.access = r
			return nil
		}
		if *s.access = *r; a.flag("quietly") {
			return nil
		}
	}
	if s.m == nil {
		var hooks Hooks
		if s.access != nil {
			hooks.Access = s.access
		}
		s.m = New(&s.cfg, hooks)
		s.watch = newWatcher(s.m)
	}
	switch a.word {
	case "wait":
		d, err := time.ParseDuration(a.next())
		s.now = s.now.Add(d)
		return err
	case "state":
		s.out.WriteString(formatState(s.m.State()))
		return nil
	}
	ev, err := s.event(a)
	if err != nil {
		return err
	}
	effects := s.m.Step(s.now, ev, nil)
	for _, e := range effects {
		s.out.WriteString("\t" + formatEffect(e, s.start) + "\n")
	}
	return s.watch.step(s.now, ev, effects)
}

func (s *script) config(a *args) error {
	c := &s.cfg
	if s.m != nil {
		return fmt.Errorf("config comes first")
	}
	c.ReceiveMaximum = uint16(a.num("rm", int(c.ReceiveMaximum)))
	c.OutboundWindow = uint16(a.num("window", int(c.OutboundWindow)))
	c.InboundQoS2Max = a.num("qos2max", c.InboundQoS2Max)
	c.KeepAliveMax = uint16(a.num("keepalivemax", int(c.KeepAliveMax)))
	c.SessionExpiryMax = uint32(a.num("expirymax", int(c.SessionExpiryMax)))
	c.SubscriptionsMax = a.num("subsmax", c.SubscriptionsMax)
	c.TopicAliasMaximum = uint16(a.num("aliasin", int(c.TopicAliasMaximum)))
	c.OutboundAliasMaximum = uint16(a.num("aliasout", int(c.OutboundAliasMaximum)))
	c.MaximumQoS = byte(a.num("qos", int(c.MaximumQoS)))
	if v, ok := a.get("auth"); ok {
		c.AuthMethods = strings.Split(v, ",")
	}
	c.RetainAvailable = a.num("retain", 1) == 1
	c.SharedAvailable = a.num("shared", 1) == 1
	c.PropertyBag = a.num("bag", 0) == 1
	c.Profile = a.text("profile")
	return nil
}

func (s *script) event(a *args) (Event, error) {
	if p := s.packet(a); p != nil {
		return PacketReceived{Packet: p}, nil
	}
	switch a.word {
	case "open":
		return ConnectionOpened{AssignedClientID: "assigned-1"}, nil
	case "opened":
		return s.opened(a), nil
	case "refused":
		return SessionRefused{ServerReference: a.text("server"), Reason: a.code(), Text: a.optional()}, nil
	case "continued":
		return AuthContinue{Data: a.data()}, nil
	case "authenticated":
		return AuthSucceeded{Data: a.data()}, nil
	case "unauthenticated":
		return AuthFailed{Reason: a.code(), Text: a.optional()}, nil
	case "malformed":
		return PacketMalformed{Err: &packet.Error{Version: packet.Version(a.num("v", 0)), Reason: a.code(), Clause: a.next(), Detail: a.next()}}, nil
	case "answered":
		return PublishAnswered{Token: a.token(), Reason: a.code(), Text: a.optional()}, nil
	case "abandoned":
		return PublishAbandoned{Token: a.token()}, nil
	case "recalled":
		return Recalled{Inbound: a.inbound()}, nil
	case "subscribed":
		ev := Subscribed{ID: a.id()}
		for a.more() {
			ev.Reasons = append(ev.Reasons, a.code())
		}
		return ev, nil
	case "access":
		return AccessChanged{}, nil
	case "unsubscribed":
		return Unsubscribed{ID: a.id()}, nil
	case "stored":
		ev := Stored{ID: uint64(a.id())}
		if a.flag("fenced") {
			ev.Err = StoreFenced
		}
		if a.flag("unavailable") {
			ev.Err = StoreUnavailable
		}
		return ev, nil
	case "attached":
		return LaneAttached{Lane: a.text("lane")}, nil
	case "detached":
		return LaneDetached{Lane: a.text("lane")}, nil
	case "handed":
		return HandedOver{OK: !a.flag("no"), Elsewhere: a.flag("elsewhere"), Delivery: uint64(a.id())}, nil
	case "message":
		return s.message(a), nil
	case "unusable":
		return MessageUnusable{Lane: a.text("lane")}, nil
	case "deadline":
		return DeadlineReached{}, nil
	case "slow":
		d, err := time.ParseDuration(a.next())
		return SlowDown{Until: s.now.Add(d)}, err
	case "lost":
		return ConnectionLost{}, nil
	case "close":
		ev := CloseRequested{NoWill: a.flag("nowill"), ServerReference: a.text("server"), Reason: a.code()}
		ev.Text = a.optional()
		return ev, nil
	}
	return nil, fmt.Errorf("no such event")
}

func (s *script) opened(a *args) Event {
	ev := SessionOpened{Present: a.flag("present"), MessageIDPrefix: "m-"}
	ev.Limits = Limits{uint16(a.num("rm", 0)), uint32(a.num("maxpacket", 0)), a.num("subsmax", 0)}
	for v, ok := a.get("sub"); ok; v, ok = a.get("sub") {
		sub := a.subscription(v)
		ev.State.Subscriptions = append(ev.State.Subscriptions, Subscription{Subscription: sub, SubID: uint32(a.num("subid", 0))})
	}
	ev.State.Inbound = a.inbound()
	for v, ok := a.get("out"); ok; v, ok = a.get("out") {
		f := strings.Split(v, ":")
		ev.State.Outbound = append(ev.State.Outbound, Outbound{ID: packet.ID(a.atoi(f[0])), Identity: f[1], QoS: packet.QoS(a.atoi(f[2])), Order: uint64(a.atoi(f[3])), Released: len(f) > 4, Done: len(f) > 5})
	}
	return ev
}

func (s *script) message(a *args) Event {
	ev := MessageArrived{Delivery: uint64(a.id()), Lane: a.text("lane")}
	p := &packet.Publish{QoS: packet.QoS(a.num("q", 0)), Retain: a.flag("retain"), Topic: a.text("t"), Payload: []byte(a.text("p"))}
	if v, ok := a.get("ct"); ok {
		p.Properties.SetContentType(v)
	}
	ev.Message = Message{Publish: p, Identity: a.text("i"), FromSelf: a.flag("self"), Redelivered: a.flag("again"), Unique: !a.flag("content"), For: a.text("for"), Retained: a.flag("retained"), Seen: a.flag("seen"), PossibleDuplicate: a.flag("dup")}
	if v, ok := a.get("expires"); ok {
		d, err := time.ParseDuration(v)
		a.fail(err)
		ev.Message.Expires = s.now.Add(d)
	}
	return ev
}

func (s *script) packet(a *args) packet.Packet {
	switch a.word {
	case "connect":
		return s.connect(a)
	case "publish":
		p := &packet.Publish{QoS: packet.QoS(a.num("q", 0)), ID: packet.ID(a.num("id", 0)), Topic: a.text("t"), Payload: []byte(a.text("p")), Dup: a.flag("dup"), Retain: a.flag("retain")}
		if n := a.num("alias", -1); n >= 0 {
			p.Properties.SetTopicAlias(uint16(n))
		}
		if n := a.num("subid", 0); n > 0 {
			p.Properties.SubscriptionIDs = []uint32{uint32(n)}
		}
		return p
	case "puback", "pubrec", "pubrel", "pubcomp":
		kinds := map[string]packet.Type{"puback": packet.PUBACK, "pubrec": packet.PUBREC, "pubrel": packet.PUBREL, "pubcomp": packet.PUBCOMP}
		p := &packet.Ack{Kind: kinds[a.word], ID: a.id(), Properties: &packet.Properties{}}
		if v, ok := a.get("reason"); ok {
			p.Properties.SetReasonString(v)
		}
		if v, ok := a.get("user"); ok {
			k, val, _ := strings.Cut(v, ":")
			p.Properties.User = []packet.UserProperty{{Key: k, Value: val}}
		}
		if a.more() {
			p.Reason = a.code()
		}
		return p
	case "subscribe":
		p := &packet.Subscribe{}
		if n := a.num("subid", 0); n > 0 {
			p.Properties.SubscriptionIDs = []uint32{uint32(n)}
		}
		p.ID = a.id()
		for a.more() {
			p.Subscriptions = append(p.Subscriptions, a.subscription(a.next()))
		}
		return p
	case "unsubscribe":
		p := &packet.Unsubscribe{ID: a.id()}
		for a.more() {
			p.Filters = append(p.Filters, a.next())
		}
		return p
	case "pingreq":
		return &packet.Pingreq{}
	case "disconnect":
		p := &packet.Disconnect{}
		if n := a.num("expiry", -1); n >= 0 {
			p.Properties.SetSessionExpiry(uint32(n))
		}
		if a.more() {
			p.Reason = a.code()
		}
		return p
	case "auth":
		p := &packet.Auth{}
		if v, ok := a.get("method"); ok {
			p.Properties.SetAuthMethod(v)
		}
		if v, ok := a.get("data"); ok {
			p.Properties.SetAuthData([]byte(v))
		}
		if a.more() {
			p.Reason = a.code()
		}
		return p
	case "connack":
		return &packet.Connack{}
	case "suback":
		return &packet.Suback{}
	case "pingresp":
		return &packet.Pingresp{}
	}
	return nil
}

func (s *script) connect(a *args) packet.Packet {
	c := &packet.Connect{Version: packet.V5, ClientID: a.text("id"), CleanStart: a.flag("clean"), KeepAlive: uint16(a.num("keepalive", 0))}
	if a.num("v", 5) == 3 {
		c.Version = packet.V311
	}
	p := &c.Properties
	if n := a.num("expiry", -1); n >= 0 {
		p.SetSessionExpiry(uint32(n))
	}
	if n := a.num("rm", -1); n >= 0 {
		p.SetReceiveMaximum(uint16(n))
	}
	if n := a.num("maxpacket", -1); n >= 0 {
		p.SetMaximumPacketSize(uint32(n))
	}
	if n := a.num("alias", -1); n >= 0 {
		p.SetTopicAliasMaximum(uint16(n))
	}
	if n := a.num("rpi", -1); n >= 0 {
		p.SetRequestProblemInfo(n == 1)
	}
	if v, ok := a.get("auth"); ok {
		p.SetAuthMethod(v)
	}
	if v, ok := a.get("authdata"); ok {
		p.SetAuthData([]byte(v))
	}
	if v, ok := a.get("will"); ok {
		c.Will = &packet.Will{Topic: v, Payload: []byte("gone"), QoS: packet.QoS(a.num("willqos", 0)), Retain: a.flag("willretain")}
		if n := a.num("willdelay", -1); n >= 0 {
			c.Will.Properties.SetWillDelay(uint32(n))
		}
	}
	return c
}

// args are the arguments of a line. Each is used once; what is left over is a mistake in the script.
type args struct {
	word string
	list []string
	bad  error
}

func parseArgs(line string) *args {
	var fields []string
	var field strings.Builder
	quoted, any := false, false
	for _, r := range line + " " {
		switch {
		case r == '"':
			quoted, any = !quoted, true
		case r == ' ' && !quoted:
			if any {
				fields = append(fields, field.String())
			}
			field.Reset()
			any = false
		default:
			field.WriteRune(r)
			any = true
		}
	}
	return &args{word: fields[0], list: fields[1:]}
}

func (a *args) fail(err error) {
	if err != nil && a.bad == nil {
		a.bad = err
	}
}

func (a *args) unused() string { return strings.Join(a.list, " ") }

func (a *args) more() bool { return len(a.list) > 0 }

func (a *args) take(i int) string {
	v := a.list[i]
	a.list = append(a.list[:i:i], a.list[i+1:]...)
	return v
}

func (a *args) next() string {
	if len(a.list) == 0 {
		a.fail(fmt.Errorf("an argument is missing"))
		return ""
	}
	return a.take(0)
}

func (a *args) optional() string {
	if !a.more() {
		return ""
	}
	return a.next()
}

// data is nil when there is none.
func (a *args) data() []byte {
	if !a.more() {
		return nil
	}
	return []byte(a.next())
}

func (a *args) flag(name string) bool {
	for i, v := range a.list {
		if v == name {
			a.take(i)
			return true
		}
	}
	return false
}

func (a *args) get(key string) (string, bool) {
	for i, v := range a.list {
		if k, val, ok := strings.Cut(v, "="); ok && k == key {
			a.take(i)
			return val, true
		}
	}
	return "", false
}

func (a *args) text(key string) string {
	v, _ := a.get(key)
	return v
}

func (a *args) num(key string, def int) int {
	v, ok := a.get(key)
	if !ok {
		return def
	}
	return a.atoi(v)
}

func (a *args) atoi(s string) int {
	n, err := strconv.ParseUint(s, 0, 40)
	a.fail(err)
	return int(n)
}

func (a *args) id() packet.ID           { return packet.ID(a.atoi(a.next())) }
func (a *args) code() packet.ReasonCode { return packet.ReasonCode(a.atoi(a.next())) }

// token parses what formatToken prints.
func (a *args) token() uint64 {
	n, q, _ := strings.Cut(a.next(), "q")
	return uint64(a.atoi(n))<<2 | uint64(a.atoi(q))
}

func (a *args) inbound() (list []Inbound) {
	for v, ok := a.get("in"); ok; v, ok = a.get("in") {
		f := strings.Split(v, ":")
		list = append(list, Inbound{ID: packet.ID(a.atoi(f[0])), MessageID: f[1], Accepted: len(f) > 2})
	}
	return list
}

func (a *args) subscription(v string) packet.Subscription {
	f := strings.Split(v, ":")
	s := packet.Subscription{Filter: f[0]}
	if len(f) > 1 {
		s.QoS = packet.QoS(a.atoi(f[1]))
	}
	if len(f) > 2 {
		s.NoLocal = strings.Contains(f[2], "n")
		s.RetainAsPublished = strings.Contains(f[2], "r")
		for h := range byte(3) {
			if strings.Contains(f[2], string('0'+h)) {
				s.RetainHandling = h
			}
		}
	}
	return s
}
