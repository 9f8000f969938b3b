// Package storetest is the one suite that every sessionstore.Store passes: Run proves the promises written in sessionstore/store.go, Compare
// holds a store against an oracle under random calls.
//
// Faults of the network are tested where there is a network, in sessionstore/redis.
package storetest
