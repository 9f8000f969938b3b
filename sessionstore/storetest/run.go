package storetest

import "testing"

// Run proves each promise of sessionstore.Store as a subtest.
func Run(t *testing.T, fresh Fresh) {
	for _, promise := range []struct {
		name  string
		prove func(*testing.T, Fresh)
	}{
		{"claim creates a session", claimCreates},
		{"claim goes on with a session", claimGoesOn},
		{"clean start discards everything", cleanStartDiscards},
		{"expiry zero ends with the connection, taken over too", expiryZeroEnds},
		{"expiry is decided by the now given", expiryByNow},
		{"never expires", neverExpires},
		{"set expiry counts at release", setExpiryCounts},
		{"epochs rise for ever, incarnations are never used twice", epochsRise},
		{"a removed session leaves nothing", removedLeavesNothing},
		{"every record comes back as it was", recordsComeBack},
		{"a removed subscription made again is the last", subscriptionOrder},
		{"outbound by order, inbound by packet id", recordOrder},
		{"deleting what is absent is no error", deleteAbsent},
		{"a write is safe to repeat", writeRepeats},
		{"a write applies whole or not at all", writeIsAtomic},
		{"done is called once, in order", doneInOrder},
		{"done may write again", doneMayWrite},
		{"a stale fence changes nothing", staleFence},
		{"a fence of a removed session is refused", fenceOfRemoved},
		{"a released fence is spent", fenceIsSpent},
		{"release may be repeated", releaseRepeats},
		{"release waits for earlier writes", releaseWaits},
		{"fifty claims of one session", contention},
		{"claims of many sessions do not touch each other", manySessions},
		{"the loser is told", watchTells},
		{"who lost nothing is not told", watchIsQuiet},
		{"a watch ends with its context", watchEnds},
		{"what breaks a rule is refused", invalidRefused},
		{"too many subscriptions are refused", subscriptionsFull},
		{"a done context is unavailable", contextDone},
		{"closed is unavailable", closedUnavailable},
	} {
		t.Run(promise.name, func(t *testing.T) { promise.prove(t, fresh) })
	}
}
