package gateway

import (
	"io"
	"net"
	"sync"
	"time"

	"go.uber.org/zap"

	"sluice/mqtt/packet"
)

// admission decides whether a new connection is served at all, before anything is spent on it. Those that exist are never ended to make room.
type admission struct {
	connectionsMax int
	arrivals       bucket
	complaints     bucket // lines in the log about those turned away
	// answering bounds those that are told.
	answering chan struct{}
}

func newAdmission(connectionsMax, connectRate int) *admission {
	return &admission{
		connectionsMax: connectionsMax,
		arrivals:       bucket{rate: connectRate},
		complaints:     bucket{rate: 1},
		answering:      make(chan struct{}, turnedAwayMax),
	}
}

// refusal is why a connection is turned away.
type refusal struct {
	label  string // in metrics
	key    string // the configuration key whose limit is reached
	reason packet.ReasonCode
}

var (
	tooMany = &refusal{"connections", "limits.connections", packet.ServerBusy}
	tooFast = &refusal{"rate", "limits.connect_rate", packet.ConnectionRateExceeded}
)

// ask reserves a place in the directory, or says why there is none.
func (a *admission) ask(conn net.Conn, d *directory) *refusal {
	if !a.arrivals.take(time.Now()) {
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
	if gw.admission.complaints.take(time.Now()) {
		gw.log.Warn("connections are refused; this is told once a second at most", zap.String("reached", why.key), zap.String("listener", l.Name))
	}
	if l.TLS != nil || l.WebSocket != nil {
		return
	}
	select {
	case gw.admission.answering <- struct{}{}:
		defer func() { <-gw.admission.answering }()
		gw.explainRefusal(conn, l, why)
	default:
	}
}

// explainRefusal answers CONNECT, within turnAwayWait.
func (gw *Gateway) explainRefusal(raw net.Conn, l *Listener, why *refusal) {
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
	answer, err := packet.Append(nil, &packet.Connack{Reason: why.reason}, connect.Version)
	if err != nil {
		return
	}
	gw.metrics.connects.WithLabelValues(why.reason.String()).Inc()
	if _, err := conn.Write(answer); err != nil {
		return
	}
	// What the device has sent already would reset the connection under our answer.
	if half, ok := conn.(interface{ CloseWrite() error }); ok && half.CloseWrite() == nil {
		_, _ = io.CopyN(io.Discard, conn, turnedAwayPacketMax)
	}
}
