package config

import "time"

// Bounds of values whose reason lies elsewhere. Those of a single key are in its line of the table.
const (
	// maxReceived bounds the entities that a node receives from: a connection of Azure's has about 200 links.
	maxReceived = 150
	// clientsKeepMin is the least clients.keep: connections renew what they have bound every twenty minutes.
	clientsKeepMin = time.Hour
)
