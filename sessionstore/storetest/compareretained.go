package storetest

import (
	"crypto/sha256"
	"fmt"

	"testing"

	"pgregory.net/rapid"

	"sluice/sessionstore"
)

// CompareRetained makes the same random puts of retained messages on an oracle and a subject, up to their quotas: every answer and everything
// stored must be equal. Nothing expires in it, as that is by each store's own clock.
func CompareRetained(t *testing.T, oracle, subject Fresh) {
	stores := []sessionstore.Store{oracle(t)(), subject(t)()}
	rapid.Check(t, func(rt *rapid.T) {
		tenant := newTenant()
		topics := []string{"a", "a/b", "b", "ü{}", "$x"}
		rt.Repeat(map[string]func(*rapid.T){
			"put": func(rt *rapid.T) {
				r := message(rapid.SampledFrom(topics).Draw(rt, "topic"), rapid.SampledFrom([]string{"", "p", "q"}).Draw(rt, "principal"),
					rapid.SampledFrom([]int{20, 50, 51, 20, 50, 800 << 10, 1 << 20}).Draw(rt, "size"))
				if rapid.IntRange(0, 4).Draw(rt, "remove") == 0 {
					r.Message = nil
				}
				equal(rt, "PutRetained", kind(retain(t, stores[0], tenant, r)), kind(retain(t, stores[1], tenant, r)))
			},
			"get": func(rt *rapid.T) {
				topic := rapid.SampledFrom(topics).Draw(rt, "topic")
				equal(rt, "GetRetained", digest(getRetained(t, stores[0], tenant, topic)), digest(getRetained(t, stores[1], tenant, topic)))
			},
			"": func(rt *rapid.T) {
				equal(rt, "RetainedTopics", allTopics(t, stores[0], tenant), allTopics(t, stores[1], tenant))
			},
		})
		for _, topic := range topics {
			for _, s := range stores {
				mustRetain(t, s, tenant, sessionstore.Retained{Topic: topic})
			}
		}
	})
}

// digest says what is there in few bytes: a difference of large ones takes long to tell.
func digest(found []sessionstore.Retained) (out []string) {
	for _, r := range found {
		out = append(out, fmt.Sprintf("%s %s %s %v %d %x", r.Topic, r.Principal, r.ClientID, r.Expires, len(r.Message), sha256.Sum256(r.Message)))
	}
	return out
}
