package tracing

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/goleak"
	"go.uber.org/zap"

	"sluice/gateway/bridge"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// begin starts an exporter towards a collector.
func begin(t *testing.T, collector http.HandlerFunc) *Exporter {
	t.Helper()
	server := httptest.NewServer(collector)
	t.Cleanup(server.Close)
	e, err := Start(Options{Endpoint: server.URL + "/v1/traces", Timeout: time.Minute, NodeID: "n", Logger: zap.NewNop(), Registry: prometheus.NewRegistry()})
	if err != nil {
		t.Fatal(err)
	}
	return e
}

func counted(t *testing.T, e *Exporter, name string) float64 {
	t.Helper()
	families, err := e.opt.Registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() == name {
			return f.GetMetric()[0].GetCounter().GetValue()
		}
	}
	t.Fatalf("there is no metric %s", name)
	return 0
}

// What waits is sent when the node stops.
func TestCloseSendsWhatWaits(t *testing.T) {
	e := begin(t, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusOK) })
	const n = batchMax + 1
	for range n {
		e.Tell("c", &bridge.Span{Kind: bridge.ProducerSpan})
	}
	e.Close(t.Context())
	if sent, dropped := counted(t, e, "sluice_spans_sent_total"), counted(t, e, "sluice_spans_dropped_total"); sent != n || dropped != 0 {
		t.Errorf("%v sent and %v dropped of %d", sent, dropped, n)
	}
}

// A collector that refuses costs its spans, and a nil exporter takes none.
func TestARefusedBatchIsCounted(t *testing.T) {
	e := begin(t, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusBadRequest) })
	e.Tell("c", &bridge.Span{})
	e.Close(t.Context())
	if dropped := counted(t, e, "sluice_spans_dropped_total"); dropped != 1 {
		t.Errorf("%v dropped, want 1", dropped)
	}
	var off *Exporter
	off.Tell("c", &bridge.Span{})
	off.Close(t.Context())
}

// A collector that never answers holds nobody up: what has no room is dropped, and Close gives up when it is told to.
func TestASilentCollectorHoldsNobodyUp(t *testing.T) {
	asked := make(chan struct{}, 1)
	e := begin(t, func(_ http.ResponseWriter, r *http.Request) {
		select {
		case asked <- struct{}{}:
		default:
		}
		_, _ = io.Copy(io.Discard, r.Body) // or the server does not see the client go
		<-r.Context().Done()
	})
	for range batchMax {
		e.Tell("c", &bridge.Span{})
	}
	<-asked // a batch is on its way, and nothing is taken from the queue
	for range waitingMax + 10 {
		e.Tell("c", &bridge.Span{})
	}
	if dropped := counted(t, e, "sluice_spans_dropped_total"); dropped < 10 || dropped > 10+batchMax || len(e.spans) != waitingMax {
		t.Errorf("%v dropped and %d waiting, want %d to wait and no more", dropped, len(e.spans), waitingMax)
	}
	over, cancel := context.WithCancel(t.Context())
	cancel()
	e.Close(over)
	if dropped := counted(t, e, "sluice_spans_dropped_total"); dropped != batchMax+waitingMax+10 {
		t.Errorf("%v dropped, want all", dropped)
	}
}
