package load

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/Azure/go-amqp"
)

// Consumer takes messages from a queue of the bus. The bus settles them as it sends them: the consumer is to take as little as possible of the machine.
type Consumer struct {
	conn  *amqp.Conn
	stop  context.CancelFunc
	ended chan struct{}
}

// Consume attaches to the queue at address and books what comes, each message on the track of its stream.
func Consume(ctx context.Context, url, address string, books *Arrivals) (*Consumer, error) {
	attach, cancel := context.WithTimeout(ctx, answerWait)
	defer cancel()
	conn, session, err := open(attach, url)
	if err != nil {
		return nil, err
	}
	receiver, err := session.NewReceiver(attach, address, &amqp.ReceiverOptions{Credit: consumerCredit, RequestedSenderSettleMode: amqp.SenderSettleModeSettled.Ptr()})
	if err != nil {
		_ = conn.Close()
		return nil, fmt.Errorf("attaching to %s: %w", address, err)
	}
	run, stop := context.WithCancel(context.Background())
	c := &Consumer{conn: conn, stop: stop, ended: make(chan struct{})}
	go func() {
		defer close(c.ended)
		for {
			m, err := receiver.Receive(run, nil)
			if err != nil {
				if run.Err() == nil {
					books.fail(fmt.Errorf("the consumer: %w", err))
				}
				return
			}
			books.see(-1, m.GetData())
		}
	}()
	return c, nil
}

func open(ctx context.Context, url string) (*amqp.Conn, *amqp.Session, error) {
	conn, err := amqp.Dial(ctx, url, nil)
	if err != nil {
		return nil, nil, fmt.Errorf("the bus: %w", err)
	}
	session, err := conn.NewSession(ctx, nil)
	if err != nil {
		_ = conn.Close()
		return nil, nil, fmt.Errorf("the bus: %w", err)
	}
	return conn, session, nil
}

// Close ends the consumer and waits for it.
func (c *Consumer) Close() {
	c.stop()
	<-c.ended
	_ = c.conn.Close()
}

// ProducerOptions say what a producer sends.
type ProducerOptions struct {
	URL string
	// Links is how many connections share the streams, one sending link each.
	Links   int
	QoS     byte // 0: settled and not durable
	Size    int
	Address func(stream int) string
}

// TopicAddress is where a backend sends what is published on topic, in the way of RabbitMQ's plugin and of Sluice's defaults.
func TopicAddress(topic string) string {
	return "/exchanges/amq.topic/" + strings.ReplaceAll(topic, "/", ".")
}

// Producer sends to the bus, pipelined: the bare go-amqp publisher, and the backend whose messages devices get.
type Producer struct {
	o        ProducerOptions
	links    []*producerLink
	answered atomic.Int64
	fail     func(error)
}

type producerLink struct {
	conn     *amqp.Conn
	sender   *amqp.Sender
	due      chan pending
	receipts chan amqp.SendReceipt
	done     sync.WaitGroup
}

// OpenProducer connects. What goes wrong later is told to books.
func OpenProducer(ctx context.Context, o ProducerOptions, books *Arrivals) (*Producer, error) {
	attach, cancel := context.WithTimeout(ctx, answerWait)
	defer cancel()
	p := &Producer{o: o, fail: books.fail}
	for range o.Links {
		conn, session, err := open(attach, o.URL)
		if err != nil {
			return nil, errors.Join(err, p.Close())
		}
		options := &amqp.SenderOptions{}
		if o.QoS == 0 {
			options.SettlementMode = amqp.SenderSettleModeSettled.Ptr()
		}
		sender, err := session.NewSender(attach, "", options)
		if err != nil {
			_ = conn.Close()
			return nil, errors.Join(fmt.Errorf("the bus: %w", err), p.Close())
		}
		l := &producerLink{conn: conn, sender: sender, due: make(chan pending, producerWindow), receipts: make(chan amqp.SendReceipt, producerWindow)}
		p.links = append(p.links, l)
		l.done.Go(func() { p.write(l) })
		l.done.Go(func() { p.await(l) })
	}
	return p, nil
}

func (p *Producer) write(l *producerLink) {
	defer close(l.receipts)
	failed := false
	for next := range l.due {
		if failed {
			continue
		}
		body := make([]byte, p.o.Size)
		putPayload(body, header{stream: next.stream, seq: next.seq, due: next.due})
		to := p.o.Address(int(next.stream))
		m := &amqp.Message{
			Header:      &amqp.MessageHeader{Durable: p.o.QoS > 0, Priority: 4},
			Annotations: amqp.Annotations{"x-opt-mqtt-qos": p.o.QoS},
			Properties:  &amqp.MessageProperties{MessageID: uint64(next.stream)<<32 | uint64(next.seq), To: &to},
			Data:        [][]byte{body},
		}
		if err := p.send(l, m); err != nil {
			p.fail(fmt.Errorf("the producer: %w", err))
			failed = true
		}
	}
}

func (p *Producer) send(l *producerLink, m *amqp.Message) error {
	if p.o.QoS == 0 {
		return l.sender.Send(context.Background(), m, nil)
	}
	receipt, err := l.sender.SendWithReceipt(context.Background(), m, nil)
	if err == nil {
		l.receipts <- receipt
	}
	return err
}

func (p *Producer) await(l *producerLink) {
	for receipt := range l.receipts {
		state, err := receipt.Wait(context.Background())
		switch state.(type) {
		case *amqp.StateAccepted:
			p.answered.Add(1)
		case nil:
			p.fail(fmt.Errorf("the producer: no outcome: %w", err))
		default:
			p.fail(fmt.Errorf("the producer: the bus answered %T", state))
		}
	}
}

// Send implements Sender. It waits while the link's window is full.
func (p *Producer) Send(stream int, seq uint32, due int64) error {
	p.links[stream%len(p.links)].due <- pending{seq: seq, stream: uint32(stream), due: due}
	return nil
}

// Flush implements Sender: each message is written as it comes.
func (p *Producer) Flush(int) error { return nil }

// Answered implements Sender.
func (p *Producer) Answered(sent int64) int64 {
	if p.o.QoS == 0 {
		return sent
	}
	return p.answered.Load()
}

// Close ends the links, after what was sent has its answer or the connection is gone.
func (p *Producer) Close() (err error) {
	for _, l := range p.links {
		close(l.due)
		// A bus that gives no credit any more must not keep us.
		impatient := time.AfterFunc(answerWait, func() { _ = l.conn.Close() })
		l.done.Wait()
		impatient.Stop()
		err = errors.Join(err, l.conn.Close())
	}
	p.links = nil
	return err
}
