package load

import "time"

const (
	// answerWait bounds the wait for any answer of a broker: CONNACK, an attach. subscribeWait bounds that for SUBACK: the bindings of thousands of filters
	// at once take their time.
	answerWait    = 30 * time.Second
	subscribeWait = 5 * time.Minute
	// quietWait is how long a drain waits for messages without one coming, before what is missing counts as lost.
	quietWait = 10 * time.Second
	// drainMax bounds a drain that goes on.
	drainMax = 2 * time.Minute
	// pollPause is the pause between two looks at a counter without an event.
	pollPause = 5 * time.Millisecond
	// deviceWindow bounds the unacknowledged messages of a device beside the Receive Maximum of its server.
	deviceWindow = 1000
	// backlogMax bounds the messages of a device that are due and wait for its window. Beyond it the rate is not kept up, and the run ends.
	backlogMax = 20_000
	// gapsMax bounds how many missing messages of a stream are remembered singly, to tell a late one from a doubled one.
	gapsMax = 10_000
	// readBuffer is the first size of a device's buffer: idle devices are many. It grows to the largest packet.
	readBuffer = 512
	// readBufferBusy is how far it grows while more comes than fits: many packets with one system call.
	readBufferBusy = 16 << 10
	// histogramMax is the longest latency told apart; a longer one counts as this. Three digits are kept.
	histogramMax    = 60 * time.Second
	histogramDigits = 3
	// recorders is over how many locks the recording of latencies is spread.
	recorders = 8
	// consumerCredit keeps a consumer's link full, producerWindow is how many sends of one link may be unanswered: beyond it go-amqp gains nothing.
	consumerCredit = 1000
	producerWindow = 1000
	// sendWorkers is how many goroutines write for all streams of a closed run: as many as the machine of the published figures has cores.
	sendWorkers = 2
	// sourceDevices is how many devices connect from one address.
	sourceDevices = 5000
	// dialsAtOnce bounds the connections being opened at a time: below any listener's backlog.
	dialsAtOnce = 64
)
