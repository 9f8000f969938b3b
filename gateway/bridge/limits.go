package bridge

import "time"

const (
	// BatchMax is how many messages a Batch takes: as many as FanoutArrived.Which has bits. More would hardly cost less each.
	BatchMax = 64
	// leftMax bounds the filters that are remembered as having left the session lane. With more, everything counts as having been there.
	leftMax = 64
	// sightingsMax and sightingsFor bound what is remembered of the messages that came by one lane while a subscription changed lanes, until the
	// other lane brings them too. A change takes two or three round trips to the bus, so that is some thousand messages a second; the
	// session lane brings its copies as fast as the device acknowledges. What is forgotten too early comes twice, never is anything lost.
	sightingsMax = 1024
	sightingsFor = time.Minute
	// endingFor is how long after a change second copies are watched for that a bus which routes late may still bring (mapping.Dialect.RoutesLate): Artemis, on a
	// machine whose disk is busy. endingsMax bounds such changes; beyond it the oldest is watched no more.
	endingFor  = 10 * time.Second
	endingsMax = 64
	// refusalsMax bounds the messages that are being rejected, beyond those that a window lets in at once.
	refusalsMax = 16
	// idBytes is the length of a refusal's id: 48 bits, so that ten thousand in a quarantine have one in common once in a million.
	idBytes = 6
)
