package tracing

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"
	"go.uber.org/zap"

	"sluice/gateway/bridge"
)

// Options are what an exporter is made of. All are required.
type Options struct {
	Endpoint string        // URL of the collector with its path, http or https
	Timeout  time.Duration // of a batch, its attempts included
	NodeID   string
	Logger   *zap.Logger
	Registry *prometheus.Registry
}

// Exporter sends spans. A nil exporter sends none.
type Exporter struct {
	opt    Options
	client otlptrace.Client
	spans  chan *tracepb.Span
	ctx    context.Context // ends with what Close allows
	cancel context.CancelFunc
	stop   chan struct{} // closed: send what waits, and end
	once   sync.Once
	ended  chan struct{}

	sent, dropped prometheus.Counter
	failing       bool // the last batch was not taken; only run touches it
}

// Start makes an exporter. It does not wait for the collector: while that is away, spans are dropped.
func Start(opt Options) (*Exporter, error) {
	e := &Exporter{
		opt: opt, spans: make(chan *tracepb.Span, waitingMax), stop: make(chan struct{}), ended: make(chan struct{}),
		client: otlptracehttp.NewClient(
			otlptracehttp.WithEndpointURL(opt.Endpoint), otlptracehttp.WithTimeout(opt.Timeout), otlptracehttp.WithCompression(otlptracehttp.GzipCompression),
			otlptracehttp.WithRetry(otlptracehttp.RetryConfig{Enabled: true, InitialInterval: retryFirst, MaxInterval: retryMax, MaxElapsedTime: opt.Timeout})),
		sent:    prometheus.NewCounter(prometheus.CounterOpts{Name: "sluice_spans_sent_total", Help: "Spans that the collector has taken."}),
		dropped: prometheus.NewCounter(prometheus.CounterOpts{Name: "sluice_spans_dropped_total", Help: "Spans that the collector did not take, or that had no room to wait for it."}),
	}
	e.ctx, e.cancel = context.WithCancel(context.Background())
	if err := e.client.Start(e.ctx); err != nil {
		e.cancel()
		return nil, fmt.Errorf("tracing.otlp_endpoint: %w", err)
	}
	opt.Registry.MustRegister(e.sent, e.dropped)
	go e.run()
	return e, nil
}

// Tell takes a span of the device with this client identifier. It never blocks. It may be called from any goroutine.
func (e *Exporter) Tell(client string, s *bridge.Span) {
	if e == nil {
		return
	}
	select {
	case e.spans <- encode(client, s):
	default:
		e.dropped.Inc()
	}
}

// Close sends what waits, as far as ctx allows. Nothing is told after it.
func (e *Exporter) Close(ctx context.Context) {
	if e == nil {
		return
	}
	e.once.Do(func() { close(e.stop) })
	select {
	case <-e.ended:
	case <-ctx.Done():
		e.cancel()
		<-e.ended
	}
	e.cancel()
}

// run sends until Close.
func (e *Exporter) run() {
	defer close(e.ended)
	defer func() { _ = e.client.Stop(context.Background()) }() // of HTTP it only says that no request is to begin
	tick := time.NewTicker(batchWait)
	defer tick.Stop()
	batch := make([]*tracepb.Span, 0, batchMax)
	for {
		select {
		case s := <-e.spans:
			if batch = append(batch, s); len(batch) < batchMax {
				continue
			}
		case <-tick.C:
		case <-e.stop:
			e.flush(batch)
			return
		}
		e.send(batch)
		batch = batch[:0]
	}
}

// flush sends the batch and all that waits.
func (e *Exporter) flush(batch []*tracepb.Span) {
	for {
		select {
		case s := <-e.spans:
			if batch = append(batch, s); len(batch) == batchMax {
				e.send(batch)
				batch = batch[:0]
			}
		default:
			e.send(batch)
			return
		}
	}
}

// send brings a batch to the collector, or drops it: the newer ones are worth more than the old.
func (e *Exporter) send(batch []*tracepb.Span) {
	if len(batch) == 0 {
		return
	}
	ctx, cancel := context.WithTimeout(e.ctx, e.opt.Timeout)
	defer cancel()
	err := e.client.UploadTraces(ctx, resource(e.opt.NodeID, batch))
	if err == nil {
		e.sent.Add(float64(len(batch)))
		e.failing = false
		return
	}
	e.dropped.Add(float64(len(batch)))
	if !e.failing {
		e.opt.Logger.Warn("the collector does not take spans; they are dropped, and this is said once until it does", zap.Error(err))
	}
	e.failing = true
}
