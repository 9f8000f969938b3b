package gateway

import (
	"testing"

	"go.uber.org/zap"

	"sluice/amqp"
)

// A node is ready when it hears all its sources, or knows that only an operator can help. A loss afterwards is not a new beginning.
func TestSourcesAreAttachedBeforeDevicesCome(t *testing.T) {
	lane := &nodeLane{gw: &Gateway{log: zap.NewNop()}}
	there, missing := &fixedSource{lane: lane, name: "hub/0"}, &fixedSource{lane: lane, name: "hub/1"}
	f := &fixedSources{gw: lane.gw, sources: []*fixedSource{there, missing}}
	for _, step := range []struct {
		name  string
		do    func()
		ready bool
	}{
		{"at first", func() {}, false},
		{"one attached", there.Attached, false},
		{"the bus away", func() { missing.Detached(amqp.ErrUnavailable) }, false},
		{"no such entity", func() { missing.Detached(amqp.ErrNotFound) }, true},
		{"the first lost", func() { there.Detached(amqp.ErrUnavailable) }, true},
	} {
		step.do()
		if err := f.ready(); (err == nil) != step.ready {
			t.Errorf("%s: %v", step.name, err)
		}
	}
}
