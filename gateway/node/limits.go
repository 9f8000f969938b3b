package node

import "time"

// Bounds that are not configuration.
const (
	// startWait bounds reaching the store when the node starts. The bus may come later: the client tries for ever.
	startWait = 10 * time.Second
	// askBusWait bounds asking the bus for its kind, where bus.kind is auto; askBusPause lies between two attempts.
	askBusWait  = 5 * time.Second
	askBusPause = 200 * time.Millisecond
	// targetsWait bounds the look for the exchanges and queues that mapping rules name.
	targetsWait = 5 * time.Second
	// closeBusWait bounds the wait for outcomes still under way when the bus is closed.
	closeBusWait = 5 * time.Second
	// closeSpansWait bounds the wait for a collector that is to take the last spans.
	closeSpansWait = 2 * time.Second
	// lingerTime: see session.Config.LingerTime. Less than the shutdown timeout, so that a stop records outcomes.
	lingerTime = 5 * time.Second
	// orphanTime: see session.Config.OrphanTime. Much longer than a bus takes to give back what a silent node holds (39 s were seen with RabbitMQ and
	// a paused node): a message that comes after it reaches a 3.1.1 device twice. Waiting costs a packet identifier.
	orphanTime = 5 * time.Minute
	// inboxMargin is how much longer the bus keeps an inbox than the store keeps its session.
	inboxMargin = time.Hour
	// inboundQoS2Max: see session.Config.InboundQoS2Max.
	inboundQoS2Max = 1000
	// qos0Hold: see bridge.Config.QoS0Hold.
	qos0Hold = time.Second
	// The bounds of a request to the administration port: its header, all of it, and the answer, of which metrics of a busy node are the longest.
	adminHeaderTime = 5 * time.Second
	adminReadTime   = 30 * time.Second
	adminWriteTime  = time.Minute
	adminIdleTime   = 2 * time.Minute
	adminHeaderMax  = 16 << 10
)
