package sessionstore_test

import (
	"slices"
	"testing"
	"time"

	"sluice/sessionstore"
)

func TestAbsence(t *testing.T) {
	type look struct {
		at      int // seconds
		missing []string
		dead    []string
		outage  bool // before it
	}
	for name, looks := range map[string][]look{
		"missing long enough":          {{0, []string{"a"}, nil, false}, {4, []string{"a"}, nil, false}, {5, []string{"a"}, []string{"a"}, false}},
		"came back":                    {{0, []string{"a"}, nil, false}, {4, nil, nil, false}, {8, []string{"a"}, nil, false}, {12, []string{"a"}, nil, false}},
		"another one":                  {{0, []string{"a"}, nil, false}, {4, []string{"a", "b"}, nil, false}, {6, []string{"a", "b"}, []string{"a"}, false}},
		"outage in between":            {{0, []string{"a"}, nil, false}, {4, []string{"a"}, nil, false}, {6, []string{"a"}, nil, true}, {10, []string{"a"}, nil, false}, {11, []string{"a"}, []string{"a"}, false}},
		"the observer itself was away": {{0, []string{"a"}, nil, false}, {100, []string{"a"}, nil, false}, {104, []string{"a"}, nil, false}, {105, []string{"a"}, []string{"a"}, false}},
		"dead stays dead":              {{0, []string{"a"}, nil, false}, {5, []string{"a"}, []string{"a"}, false}, {6, []string{"a"}, []string{"a"}, false}},
	} {
		t.Run(name, func(t *testing.T) {
			a := sessionstore.NewAbsence(5 * time.Second)
			start := time.Unix(1000, 0)
			for _, l := range looks {
				if l.outage {
					a.Interrupted()
				}
				if dead := a.Observe(start.Add(time.Duration(l.at)*time.Second), l.missing); !slices.Equal(dead, l.dead) {
					t.Fatalf("at %d s: dead %v, want %v", l.at, dead, l.dead)
				}
			}
		})
	}
}
