package session

import "time"

const (
	// ReadAhead is how many packets the machine keeps that came while it could not take them: during OpenSession, and behind a
	// PauseReading. The shell reads no further than that; a device that gets past it is cut off.
	ReadAhead = 64

	// qos0Window is how many QoS 0 PUBLISH packets of a device may wait for the bus before reading stops, if Limits.ReceiveMaximum is no less. While the bus
	// is behind, what a device sends gathers in its socket, from where one read brings many, and not as messages in our memory. It is enough for a bus
	// whose answers take 20 ms to have 1,600 a second of one device.
	qos0Window = 32

	// requestsMax bounds SUBSCRIBE and UNSUBSCRIBE packets without answer. They are worked off one after the other, so more than a few
	// under way bring nothing; reading stops at the next one. A review (accessChanged) may stand behind them.
	requestsMax = 16

	// leftFiltersMax bounds the filters that are remembered after their subscription ended, so that what the bus still brings for them is
	// nobody's fault. A device seldom drops more at a time; beyond that the sender is told that nobody subscribes, which is true.
	leftFiltersMax = 64

	// resumedWindows is how many windows' worth of exchanges of earlier connections may be open before a session gets less credit than its
	// window, so that a device which never ends an exchange cannot pile them up from connection to connection.
	resumedWindows = 2

	// windowMax is the largest OutboundWindow. Identifiers are needed for a window under way, for the resumedWindows of earlier connections, and for
	// a window of records of what is over; there are 65,535.
	windowMax = packetIDs/(2+resumedWindows) - 1

	// recallTime is how long, after a session was opened, a QoS 2 PUBLISH that comes again waits for word of its outcome from the connection before,
	// and how long that one waits for the bus once it knows that it was taken over. The bus answers in milliseconds, on a busy machine in
	// hundreds; a connection that died with its node delays its device's QoS 2 messages by as much.
	recallTime = time.Second

	// recallFirst and recallMax are the pauses between two looks at the store: first about as long as the bus takes, then fewer, so that the devices
	// of a dead node, which all come at once, cost the store a handful of reads each.
	recallFirst = 20 * time.Millisecond
	recallMax   = 320 * time.Millisecond

	// packetIDs is how many packet identifiers there are [MQTT-2.2.1-3].
	packetIDs = 65535

	// attemptsMax is as far as Outbound.Attempts counts, and the highest Config.PoisonAfter.
	attemptsMax = 60

	// answeredWindows times the window is how many answered messages are remembered in case the bus brings them again: one window for
	// what the device answers while there is no lane, one for settlements that get lost with a lane. Older ones have long been written.
	answeredWindows = 2
)
