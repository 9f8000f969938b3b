package gateway

import (
	"strings"
	"testing"

	"sluice/sessionstore"
)

func TestInboxNamesAreApartAndValid(t *testing.T) {
	keys := []sessionstore.Key{
		{Tenant: "t", Principal: "p", ClientID: "c"},
		{Tenant: "t", Principal: "pc", ClientID: ""},
		{Tenant: "tp", Principal: "", ClientID: "c"},
		{Tenant: "t", Principal: "p", ClientID: "a/b"},
		{Tenant: "t", Principal: "p", ClientID: "a_b"},
		{Tenant: "t", Principal: "p", ClientID: strings.Repeat("x", 65535)},
		{Tenant: "t", Principal: "p", ClientID: strings.Repeat("x", 65534) + "y"},
		{Tenant: "t", Principal: "p", ClientID: "Straße 7%2F"},
	}
	seen := map[string]sessionstore.Key{}
	for _, k := range keys {
		for incarnation := range uint64(3) {
			name := inboxOf(k, incarnation)
			if other, taken := seen[name]; taken {
				t.Errorf("%v and %v share the inbox %q", k, other, name)
			}
			seen[name] = k
			if len(name) > 255 || strings.ContainsFunc(name, func(r rune) bool { return r <= ' ' || r > '~' || r == '/' }) {
				t.Errorf("%q is no name for an inbox", name)
			}
		}
	}
}

func TestAssignedClientIDsAreUnguessable(t *testing.T) {
	seen := map[string]bool{}
	for range 10000 {
		id := newClientID()
		if seen[id] {
			t.Fatalf("%s twice", id)
		}
		seen[id] = true
		// 26 characters of five bits each.
		if random := strings.TrimPrefix(id, "sluice-"); len(random) != 26 {
			t.Fatalf("%s has less than 122 random bits", id)
		}
	}
}

func TestShardsAreStableAndSpread(t *testing.T) {
	count := map[uint32]int{}
	for i := range 4000 {
		k := sessionstore.Key{ClientID: strings.Repeat("d", i%50) + string(rune('a'+i%26))}
		if shardOf(k) != shardOf(k) {
			t.Fatal("not stable")
		}
		count[shardOf(k)%4]++
	}
	for s, n := range count {
		if n < 500 {
			t.Errorf("shard %d gets %d of 4000", s, n)
		}
	}
}
