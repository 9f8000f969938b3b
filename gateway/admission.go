package gateway

import (
	"io"
	"net"
	"sync"
	"time"

	"go.uber.org/zap"

	"sluice/gateway/access"
	"sluice/mapping/failure"
	"sluice/mqtt/packet"
	"sluice/sessionstore"
)

// admission decides whether a new connection is served at all, before anything is spent on it. Those that exist are never ended to make room.
type admission struct {
	connectionsMax int
	memory         *memoryUse
	arrivals       bucket
	complaints     bucket // lines in the log about those turned away
	// answering bounds those that are told.
	answering chan struct{}
}

func newAdmission(connectionsMax, connectRate int, memoryMax int64) *admission {
	return &admission{
		connectionsMax: connectionsMax,
		memory:         newMemory(memoryMax),
		arrivals:       bucket{rate: connectRate},
		complaints:     bucket{rate: 1},
		answering:      make(chan struct{}, turnedAwayMax),
	}
}

// refusal is why a connection is turned away.
type refusal struct {
	label   string // in metrics
	key     string // the configuration key whose limit is reached
	failure *failure.Failure
}

var (
	tooMany = &refusal{"connections", "limits.connections", failure.TooManyConnections}
	tooFast = &refusal{"rate", "limits.connect_rate", failure.ConnectRate}
	tooFull = &refusal{"memory", "limits.memory", failure.MemoryShort}
)

// ask reserves a place in the directory, or says why there is none.
func (a *admission) ask(conn net.Conn, d *directory) *refusal {
	now := time.Now()
	if a.memory.short(now) {
		return tooFull
	}
	if !a.arrivals.take(now) {
		return tooFast
	}
	if !d.reserve(conn, a.connectionsMax) {
		return tooMany
	}
	return nil
}

// bucket counts what happens in a second: rate at once, and as many again in each second that follows. Zero is no limit.
type bucket struct {
	rate int

	mu   sync.Mutex
	full time.Time // when it is full again
}

// take is false when the bucket is empty.
func (b *bucket) take(now time.Time) bool {
	if b.rate == 0 {
		return true
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.full.Before(now) {
		b.full = now
	}
	next := b.full.Add(time.Second / time.Duration(b.rate))
	if next.Sub(now) > time.Second {
		return false
	}
	b.full = next
	return true
}

// turnAway ends a connection that was not admitted. On plain TCP it costs little to say why: the device's CONNECT is read, and answered. A
// handshake of TLS costs as much as serving would.
func (gw *Gateway) turnAway(conn net.Conn, l *Listener, why *refusal) {
	defer conn.Close()
	gw.metrics.shed.WithLabelValues(why.label).Inc()
	log := zap.NewNop() // such a line is written once a second at most
	if gw.admission.complaints.take(time.Now()) {
		log = gw.log.With(zap.String("listener", l.Name), zap.String("remote", conn.RemoteAddr().String()))
	}
	o := occurred(why.failure, why.key+" is reached")
	gw.failed(log, sessionstore.Key{Tenant: access.DefaultTenant, Principal: access.AnonymousName}, o)
	if l.TLS != nil || l.WebSocket != nil {
		return
	}
	select {
	case gw.admission.answering <- struct{}{}:
		defer func() { <-gw.admission.answering }()
		gw.explainRefusal(conn, l, o)
	default:
	}
}

// explainRefusal answers CONNECT, within turnAwayWait.
func (gw *Gateway) explainRefusal(raw net.Conn, l *Listener, o *failure.Occurrence) {
	deadline := time.Now().Add(turnAwayWait)
	conn, err := l.Proxies.Unwrap(raw, turnAwayWait)
	if err != nil {
		return
	}
	_ = conn.SetDeadline(deadline)
	p, err := packet.NewReader(conn, turnedAwayPacketMax).ReadPacket()
	connect, ok := p.(*packet.Connect)
	if err != nil || !ok {
		return
	}
	answer, err := turnedAway(connect, o)
	if err != nil {
		return
	}
	gw.metrics.connects.WithLabelValues(o.Code().String()).Inc()
	if _, err := conn.Write(answer); err != nil {
		return
	}
	// What the device has sent already would reset the connection under our answer.
	if half, ok := conn.(interface{ CloseWrite() error }); ok && half.CloseWrite() == nil {
		_, _ = io.CopyN(io.Discard, conn, turnedAwayPacketMax)
	}
}

// turnedAway is the CONNACK for a connection that was not admitted. What a device's Maximum Packet Size has no room for is left out
// [MQTT-3.2.2-19, MQTT-3.2.2-20].
func turnedAway(c *packet.Connect, o *failure.Occurrence) ([]byte, error) {
	a := &packet.Connack{Reason: o.Code()}
	if c.Version == packet.V5 {
		a.Properties.SetReasonString(o.Message())
		a.Properties.User = o.Properties()
	}
	answer, err := packet.Append(nil, a, c.Version)
	if c.Properties.Has(packet.PropMaximumPacketSize) && len(answer) > int(c.Properties.MaximumPacketSize) {
		return packet.Append(nil, &packet.Connack{Reason: o.Code()}, c.Version)
	}
	return answer, err
}
