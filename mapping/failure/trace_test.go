package failure_test

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"sluice/mapping/failure"
)

func TestTraceOfTheMessage(t *testing.T) {
	const id = "4bf92f3577b34da6a3ce929d0e0e4736"
	for _, c := range []struct {
		name, value string
		taken       bool
	}{
		{"as it should be", "00-" + id + "-00f067aa0ba902b7-01", true},
		{"of a later version", "01-" + id + "-00f067aa0ba902b7-01-more", true},
		{"more behind version 0", "00-" + id + "-00f067aa0ba902b7-01-more", false},
		{"version ff", "ff-" + id + "-00f067aa0ba902b7-01", false},
		{"upper case", "00-" + strings.ToUpper(id) + "-00f067aa0ba902b7-01", false},
		{"zero", "00-00000000000000000000000000000000-00f067aa0ba902b7-01", false},
		{"short", "00-" + id, false},
		{"empty", "", false},
	} {
		t.Run(c.name, func(t *testing.T) {
			traces := failure.NewTraces([16]byte{1})
			got := traces.Of(c.value)
			if (got.String() == id) != c.taken || got == (failure.Trace{}) {
				t.Errorf("%s from %q", got, c.value)
			}
		})
	}
}

// Ids of one connection differ, and none is zero, whatever the seed.
func TestTracesAreUnique(t *testing.T) {
	for _, seed := range [][16]byte{{}, {15: 1}, {15: 3}, {0: 9, 8: 255}} {
		traces := failure.NewTraces(seed)
		seen := map[failure.Trace]bool{{}: true}
		for range 1000 {
			id := traces.Next()
			if seen[id] {
				t.Fatalf("seed %x gives %s twice", seed, id)
			}
			seen[id] = true
		}
	}
}

func TestRecord(t *testing.T) {
	traces := failure.NewTraces([16]byte{7})
	o := failure.Occurrence{
		Failure: failure.NoRoute, Trace: traces.Next(), At: time.Date(2026, 1, 2, 3, 4, 5, 6e8, time.UTC), Detail: "secret-host: released",
		Topic: strings.Repeat("ä", 300), PacketID: 7, MessageID: "m-1",
	}
	var got map[string]any
	if err := json.Unmarshal(o.Record(), &got); err != nil {
		t.Fatal(err)
	}
	want := map[string]any{
		"code": 131.0, "name": "no-route", "error": "sluice:no-route", "message": "Nobody is there to take messages on this topic.",
		"topic": strings.Repeat("ä", 128) + "...", "packet_id": 7.0, "message_id": "m-1", "trace": o.Trace.String(), "time": "2026-01-02T03:04:05.6Z",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}
