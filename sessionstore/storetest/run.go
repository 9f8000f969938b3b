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
		{"a will that is kept is published once", willKept},
		{"a will that is dropped is not", willDropped},
		{"a will waits for its delay by the store's clock", willWaits},
		{"a will waits no longer than its session", willAtTheEnd},
		{"a session that ends leaves its work, and nothing in the way", endIsWork},
		{"a device that is back in time cancels its will", returnCancels},
		{"a device that is back too late does not", returnTooLate},
		{"clean start makes a waiting will due", cleanStartFires},
		{"a claim replaces the will", claimReplacesWill},
		{"a takeover cancels a delayed will", takenOverDelayed},
		{"a takeover leaves other wills to the old owner's word", takenOverWaitsForTheOwner},
		{"an owner that says nothing is dead", silentOwner},
		{"the first word on a will counts", firstWordCounts},
		{"a will is bounded", willRefused},
		{"the work of a session is bounded", workIsBounded},
		{"each piece of work has one worker", oneWorkerEach},
		{"the work of a dead worker is claimed again", deadWorker},
		{"a worker that is too slow is told", lateFinish},
		{"a dead node's sessions are released", nodeDies},
		{"who is back in the grace cancels a dead node's wills", backInGrace},
		{"a node taken for dead is told, and lives again", zombieIsTold},
		{"many sweepers take each session once", manySweepers},
		{"a living node is not swept", livingIsNotSwept},
		{"epochs are the current ones", epochsAreCurrent},
		{"epochs of many sessions at once", epochsOfMany},
		{"epochs rise when a dead node's session is swept", epochsAfterASweep},
		{"what breaks a rule is refused", invalidRefused},
		{"too many subscriptions are refused", subscriptionsFull},
		{"a done context is unavailable", contextDone},
		{"closed is unavailable", closedUnavailable},
	} {
		t.Run(promise.name, func(t *testing.T) { promise.prove(t, fresh) })
	}
}
