package heap

import "time"

const (
	// slack is what a small heap may grow by between two collections, in bytes: about what Go gives a node that has just begun. 32 MiB collect less often,
	// but took no less processor time a message, and a bus on the same cores 15 % more in five pairs of runs, perhaps for want of the processor's caches.
	slack = 8 << 20
	// share of the live heap, in percent, is what a large heap may grow by: half of what Go does by itself. With 15,000 idle devices a collection takes
	// 30 to 60 ms of one core, and at 8,000 messages a second one is due every few seconds.
	share = 50
	// The runtime never collects below 4 MiB x percent / 100, however little lives. So the most that makes sense gives slack itself.
	percentMax = 100 * slack / (4 << 20)
	// A new percentage stops the world for some microseconds. One that differs by less than one part in changeShare is not worth it.
	changeShare = 16

	// tick is how often it is looked whether there is a calm.
	tick = time.Second
	// calmTicks is how many looks in a row have to find little allocated. Devices that come in a storm, and messages in bursts, pause for less.
	calmTicks = 2
	// Little is one part in calmShare of the live heap and slack, in each tick: at that rate the next collection is a quarter of a minute away or more.
	calmShare = 32
	// A collection in a calm has to promise worthMin bytes, and one part in worthShare of the live heap and stacks: less would only come back.
	worthMin   = 2 << 20
	worthShare = 16
	// The pause between two calms that are used is pauseMin, and pauseShare times what the last took, up to pauseMax: on a machine that is busy otherwise
	// a collection takes seconds and costs no more.
	pauseMin   = 5 * time.Second
	pauseMax   = time.Minute
	pauseShare = 50
	// The runtime halves a stack in each collection, from 16 KiB to 2 KiB in three. More are made while stacks shrink by one part in shrinkShare, at
	// most roundsMax in all.
	shrinkShare = 16
	roundsMax   = 4
)
