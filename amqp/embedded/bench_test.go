package embedded_test

import (
	"testing"

	"github.com/Azure/go-amqp"

	"sluice/amqp/embedded"
)

// Beside these stand those of go-amqp against a bare sink: about 100,000/s pipelined into one link and
// 80,000/s received and accepted. go-amqp shares the processors with the broker here.

func BenchmarkPublish(b *testing.B) {
	r := newBenchRig(b)
	sender := r.sender(r.s, "/exchanges/amq.topic/nobody.bound", nil)
	r.pump(b, sender)
}

func BenchmarkPublishIntoQueue(b *testing.B) {
	r := newBenchRig(b)
	r.queue("q", map[string]any{"x-max-length": 1000})
	r.pump(b, r.sender(r.s, "/queues/q", nil))
}

func BenchmarkEndToEnd(b *testing.B) {
	r := newBenchRig(b)
	r.queue("q", nil)
	sender := r.sender(r.s, "/queues/q", nil)
	receiver := r.receiver(r.session(r.dial(nil)), "/queues/q", &amqp.ReceiverOptions{Credit: 1000})
	done := make(chan struct{})
	const ackers = 8
	messages := make(chan *amqp.Message, 1000)
	for range ackers {
		go func() {
			for m := range messages {
				if err := receiver.AcceptMessage(r.ctx, m); err != nil {
					b.Error(err)
				}
			}
			done <- struct{}{}
		}()
	}
	go func() {
		defer close(messages)
		for range b.N {
			m, err := receiver.Receive(r.ctx, nil)
			if err != nil {
				b.Error(err)
				return
			}
			messages <- m
		}
	}()
	r.pump(b, sender)
	for range ackers {
		<-done
	}
}

func newBenchRig(b *testing.B) *rig {
	bench := newBench(b, embedded.Options{})
	conn := bench.dial(nil)
	return &rig{manager: bench.manager(conn), conn: conn, s: bench.session(conn)}
}

// pump publishes b.N messages of 100 bytes, pipelined.
func (r *rig) pump(b *testing.B, sender *amqp.Sender) {
	body := make([]byte, 100)
	receipts := make(chan amqp.SendReceipt, 1000)
	waited := make(chan struct{})
	b.ReportAllocs()
	b.ResetTimer()
	go func() {
		defer close(waited)
		for receipt := range receipts {
			if _, err := receipt.Wait(r.ctx); err != nil {
				b.Error(err)
			}
		}
	}()
	for range b.N {
		receipt, err := sender.SendWithReceipt(r.ctx, amqp.NewMessage(body), nil)
		if err != nil {
			b.Fatal(err)
		}
		receipts <- receipt
	}
	close(receipts)
	<-waited
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "msg/s")
}
