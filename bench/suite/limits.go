package suite

import "time"

const (
	// readyWait bounds the wait for a node, stopWait that for its end after SIGTERM, before it is killed.
	readyWait = 30 * time.Second
	stopWait  = 30 * time.Second
	// pollPause is the pause between two looks at something that has no event.
	pollPause = 20 * time.Millisecond
	// stormIdle is the most processor time that nodes use between two looks if they are calm.
	stormIdle = 30 * time.Millisecond
	// tidyMax bounds the wait for a bus that is busy with what a scenario left behind.
	tidyMax = 10 * time.Minute
	// topologyWait bounds the making and removing of a queue.
	topologyWait = 30 * time.Second
	// underWay bounds the messages that a closed run keeps between sender and receiver, streamWindow those of one stream, bytesUnderWay their bytes:
	// enough that nobody waits for anybody, less than what any contender drops at QoS 0 (RabbitMQ's plugin beyond 200 for a device).
	underWay      = 1000
	streamWindow  = 100
	bytesUnderWay = 8 << 20
	// fanUnderWay bounds the deliveries of a fan-out that are under way, fanWindow its messages: enough that a device's writes can be put together, less than
	// what is dropped for a device that does not keep up, and at QoS 1 no more than a second's worth.
	fanUnderWay = 10_000
	fanWindow   = 50
	// producerLinks is how many connections the bare publisher and the backend use: more gain nothing on two cores.
	producerLinks = 2
	// measureMin and measureMax bound the time one figure is measured for. Below, ten-millisecond ticks of /proc show; above, nothing new comes.
	measureMin = 1 * time.Second
	measureMax = 30 * time.Second
	// sendsMin is how many messages the measured part of an open run has at least, as long as it does not take more than measureMax.
	sendsMin = 20
	// rateMin is the lowest rate of an open run, in messages a second: on a machine that stands still nothing may arrive in a closed run.
	rateMin = 10
	// quiet is the share of the cores that has to be idle before a scenario, or the figures are doubtful.
	quiet = 0.9
	// failureMax bounds, in bytes, what the page says of an error.
	failureMax = 300
	// settleMax bounds the wait until a process's memory no longer changes.
	settleMax = 15 * time.Second
	// stolenMost is the share of the cores' time that the host may take away in a span that counts. Of 2,100 seconds the machine of the published figures lost at most 1 % in 95 of
	// a hundred, more than 2 % in 3.5 of a hundred, and those came together: two to five seconds of 3 to 15 %, at worse times of 50 %.
	stolenMost = 0.02
	// calmTries bounds how often a span is measured until it is calm, againShare the time for it, as a share of the scenario's.
	calmTries  = 4
	againShare = 0.2
	// latencyRounds is how often the contenders take turns where their latency is a goal: an odd number, since the goal is judged by the median of the rounds.
	// latencyMeasure is by how much those spans are longer than others: of the shortest at the lowest rate, a hundred messages are beyond the 99th percentile.
	latencyRounds  = 5
	latencyMeasure = 2
	// An open run does not hold its rate if the backlog at the end of a span is larger than at its beginning by more than backlogShare of what was due in it, what is due in
	// backlogTime, and one message: latency sways by that much without a backlog that grows.
	backlogShare = 0.05
	backlogTime  = 50 * time.Millisecond
)
