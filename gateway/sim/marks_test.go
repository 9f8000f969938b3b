package sim

import (
	"reflect"
	"testing"

	"pgregory.net/rapid"

	"sluice/mapping"
	"sluice/mqtt/topic"
)

// TestStormsHappen: what the oracle watches for does come up. Otherwise green seeds would show nothing.
func TestStormsHappen(t *testing.T) {
	const seeds = 60
	sums := map[string]int64{}
	for seed := uint64(1); seed <= seeds; seed++ {
		r := Run(seed, nil)
		if r.Err != nil {
			t.Fatalf("seed %d: %v", seed, r.Err)
		}
		v := reflect.ValueOf(r.marks)
		for i := range v.NumField() {
			sums[v.Type().Field(i).Name] += v.Field(i).Int()
		}
	}
	for name, n := range sums {
		t.Logf("%-12s %d", name, n)
		if n == 0 {
			t.Errorf("in %d seeds there was no %q", seeds, name)
		}
	}
}

// TestBrokerRoutesAsTopicsMatch: the model's exchange and the machine agree about filters, but for names that begin with $.
func TestBrokerRoutesAsTopicsMatch(t *testing.T) {
	level := rapid.SampledFrom([]string{"a", "b", "", "a.b", "*"})
	rapid.Check(t, func(rt *rapid.T) {
		name, filter := "", ""
		for i := range rapid.IntRange(1, 4).Draw(rt, "levels") {
			if i > 0 {
				name += "/"
			}
			name += level.Draw(rt, "level")
		}
		for i := range rapid.IntRange(1, 4).Draw(rt, "filter levels") {
			if i > 0 {
				filter += "/"
			}
			filter += rapid.OneOf(level, rapid.Just("+")).Draw(rt, "filter level")
		}
		if rapid.Bool().Draw(rt, "hash") {
			filter += "/#"
		}
		if name == "" || topic.ValidateFilter(filter) != nil {
			return
		}
		if got, want := matches(mapping.RabbitMQ.Pattern(filter), mapping.RabbitMQ.Key(name)), topic.Match(filter, name); got != want {
			rt.Fatalf("%q on %q: the broker says %t, MQTT says %t", filter, name, got, want)
		}
	})
}
