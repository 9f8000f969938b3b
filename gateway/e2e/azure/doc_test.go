// Package azure tests the gateway on Azure Service Bus and Event Hubs: on the embedded bus acting as them, since the real ones are not within reach
// of a test. What they do to their clients (tokens that expire, idle links, busy servers) is done to nodes under traffic here; that each message gets
// through, and once where the bus drops duplicates, is what is asked.
package azure
