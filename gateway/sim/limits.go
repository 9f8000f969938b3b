package sim

import (
	"time"

	"sluice/gateway/bridge"
	"sluice/mqtt/session"
)

// Waits of the gateway (gateway/limits.go, gateway/node), and of the bus.
const (
	grace        = 30 * time.Second
	takeoverWait = 500 * time.Millisecond
	recallWait   = time.Second
	claimWait    = 10 * time.Second
	closeWait    = 5 * time.Second
	retryFirst   = 50 * time.Millisecond
	retryMax     = 2 * time.Second
	shutdownWait = 20 * time.Second
	leasePause   = 3 * time.Second
	sweepPause   = time.Second
	duePause     = 500 * time.Millisecond
	epochsRound  = 10 * time.Second
	upkeepWait   = 5 * time.Second
	workWait     = 25 * time.Second
	workBatch    = 32 // pieces
	markerWait   = 2 * time.Second
	retainedPage = 2 // topics; small, so that there are several pages
	// readAhead is how many packets may have been read when reading is paused.
	readAhead = 8

	// idleTimeout: after so much silence bus and client give their connection up, each on its own; later by up to idleSlack.
	idleTimeout = 8 * time.Second
	idleSlack   = 4 * time.Second
)

// Windows are small, so that a run of few messages meets their edges.
const (
	receiveMaximum = 5
	outboundWindow = 4
	sessionExpiry  = 3600
	// packetIDs is how many identifiers a model device uses: few, so that they are used again soon.
	packetIDs = 16
	// keepAliveLong, in seconds, outlives every run.
	keepAliveLong = 3600
)

func bridgeConfig() *bridge.Config {
	return &bridge.Config{
		Session: session.Config{
			ReceiveMaximum: receiveMaximum, InboundQoS2Max: 2 * receiveMaximum, MaximumPacketSize: 1 << 20,
			OutboundWindow: outboundWindow, KeepAliveMax: 0, SessionExpiryMax: sessionExpiry, SubscriptionsMax: 20,
			ConnectTimeout: 10 * time.Second, LingerTime: 5 * time.Second, OrphanTime: 30 * time.Second,
			MaximumQoS: 2, RetainAvailable: true, SharedAvailable: true,
		},
		Grace: grace, QoS0Hold: time.Second,
	}
}
