package main

import "time"

// Bounds of the commands. Those of a node are configuration, or in the packages it is made of.
const (
	// reachWait bounds the wait for a bus that a command needs now.
	reachWait = 5 * time.Second
	// reachPause is the pause between looks whether it is there.
	reachPause = 50 * time.Millisecond
	// leaveWait bounds what a command still tells the bus when it ends.
	leaveWait = 3 * time.Second
	// adminWait bounds a request to a node, adminAnswerMax its answer, in bytes: ten thousand revocations with long texts.
	adminWait      = 20 * time.Second
	adminAnswerMax = 64 << 20
	// tailBacklog bounds the messages that wait to be printed; the reader of a slow terminal loses the newest.
	tailBacklog = 1000
	// tailExpires: how long, in milliseconds, the inbox of a tail that was killed stays on the bus.
	tailExpires = 60_000
	// tailLength bounds the messages the bus keeps for a tail that does not keep up.
	tailLength = 10_000
	// payloadShown is how much of a payload is printed, in bytes.
	payloadShown = 1024
	// browseMax is how many messages of a queue a command holds at once. They are the queue's again when it ends.
	browseMax = 1000
	// replayWait bounds the wait for the bus's answer to a message that is sent once more.
	replayWait = 10 * time.Second
)
