package rules_test

import (
	"fmt"
	"testing"

	"sluice/mapping"
	"sluice/mapping/rules"
)

// many are rules of which the last matches the message, and with which most share levels.
func many(tb testing.TB, n int) (*rules.Table, rules.Message) {
	tb.Helper()
	list := make([]rules.Rule, n)
	for i := range list {
		list[i] = rules.Rule{Topic: fmt.Sprintf("plant/{site}/line%d/{line}/{kind}", i), Exchange: fmt.Sprintf("e%d", i%7), Key: new(fmt.Sprintf("k%d.{site}.{line}.{kind}", i)),
			Properties: map[string]string{"unit": "C"}}
	}
	table, err := rules.Compile(list, mapping.RabbitMQ)
	if err != nil {
		tb.Fatal(err)
	}
	return table, rules.Message{Topic: fmt.Sprintf("plant/hall/line%d/7/temp", n-1), QoS: 1, Principal: "meter-7"}
}

func BenchmarkRoute(b *testing.B) {
	for _, n := range []int{0, 1, 1000} {
		b.Run(fmt.Sprint(n, " rules"), func(b *testing.B) {
			var table *rules.Table
			m := rules.Message{Topic: "plant/hall/line0/7/temp"}
			if n > 0 {
				table, m = many(b, n)
			}
			var route mapping.Route
			b.ReportAllocs()
			for b.Loop() {
				table.Route(m, &route)
			}
		})
	}
}

func BenchmarkTopic(b *testing.B) {
	table, _ := many(b, 1000)
	at := mapping.Address{Exchange: fmt.Sprintf("e%d", 999%7), Key: "k999.hall.7.temp"}
	b.ReportAllocs()
	for b.Loop() {
		if _, ok := table.Topic(at, ""); !ok {
			b.Fatal("not found")
		}
	}
}

// Matching allocates nothing; results cost the strings that they are.
func TestRouteAllocatesOnlyItsResults(t *testing.T) {
	table, m := many(t, 100)
	constant := compile(t, rules.Rule{Topic: "plant/{site}/#", Queue: "q", Subject: new("{site}"), Properties: map[string]string{"a": "b"}, GroupID: "g"})
	var route mapping.Route
	for _, c := range []struct {
		name  string
		table *rules.Table
		in    rules.Message
		want  float64
	}{
		{"no rules", nil, m, 0},
		{"no match", table, rules.Message{Topic: "plant/hall/line7"}, 0},
		{"an address", table, m, 1},
		{"constants, and a level", constant, m, 0},
	} {
		got := testing.AllocsPerRun(100, func() { c.table.Route(c.in, &route) })
		if got != c.want {
			t.Errorf("%s: %v allocations, want %v", c.name, got, c.want)
		}
	}
}

// BenchmarkCompile is the cost of a start: rules of one exchange are compared with each other.
func BenchmarkCompile(b *testing.B) {
	list := make([]rules.Rule, rules.MaxRules)
	for i := range list {
		list[i] = rules.Rule{Topic: fmt.Sprintf("plant/{site}/line%d/{line}/{kind}", i), Key: new(fmt.Sprintf("{site}.k%d.{line}.{kind}", i))}
	}
	for b.Loop() {
		if _, err := rules.Compile(list, mapping.RabbitMQ); err != nil {
			b.Fatal(err)
		}
	}
}
