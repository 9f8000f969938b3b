package events

import "time"

const (
	// windowTime is how long an account's events are counted together. It bounds how late a remainder is told.
	windowTime = 10 * time.Second
	// accountEvents is how many events an account may cause in a window: enough to see what is wrong, too few to be in the way of others.
	accountEvents = 20
	// nodeEvents bounds the events of all accounts in a window: 200 a second, which is nothing to a bus.
	nodeEvents = 2000
	// accountsMax bounds the accounts that are counted apart, some 100 bytes each. All beyond share one.
	accountsMax = 10_000
	// Life is how long an event waits on the bus for somebody to read it.
	Life = 24 * time.Hour

	// wedgeTime is how long refusals are counted together: an alarm comes within a minute of the first.
	wedgeTime = 30 * time.Second
	// wedgeRefusals is how many refusals in that time are an alarm, if at least half of the messages were refused.
	wedgeRefusals = 5
	// longSuccess is after how many accepted messages without a refusal the first refusal is news.
	longSuccess = 1000
	// watchTime is how long an account is watched after its latest refusal. It is raised no second time for the same cause meanwhile.
	watchTime = 10 * time.Minute
)
