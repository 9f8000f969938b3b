package load

import (
	"errors"
	"net"
	"strings"
	"testing"
	"time"

	"sluice/mqtt/packet"
)

// host answers CONNECT, and then each PINGREQ for which pong is true.
func host(t *testing.T, pong func(n int) bool) (address string, pings chan int) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	pings = make(chan int, 100)
	ended := make(chan struct{})
	t.Cleanup(func() {
		_ = l.Close()
		<-ended
	})
	go func() {
		defer close(ended)
		conn, err := l.Accept()
		if err != nil {
			return
		}
		defer func() { _ = conn.Close() }()
		in := &stream{conn: conn, buf: make([]byte, readBuffer)}
		for n := 0; ; {
			p, err := in.decode()
			if err != nil {
				return
			}
			var answer packet.Packet = &packet.Connack{}
			if _, ping := p.(*packet.Pingreq); ping {
				n++
				pings <- n
				if !pong(n) {
					continue
				}
				answer = &packet.Pingresp{}
			}
			b, _ := packet.Append(nil, answer, packet.V5)
			_, _ = conn.Write(b)
		}
	}()
	return l.Addr().String(), pings
}

func pinger(t *testing.T, keepAlive time.Duration, pong func(int) bool) (Fleet, *Arrivals, chan int) {
	t.Helper()
	address, pings := host(t, pong)
	d, err := Dial(t.Context(), Options{Address: address, ClientID: "c", KeepAlive: keepAlive})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(d.Drop)
	books := NewArrivals(1, MinPayload)
	d.Start(books, 0)
	return Fleet{d}, books, pings
}

// A started device pings by itself, PingAll proves that it is connected, and then it is silent.
func TestPings(t *testing.T) {
	t.Parallel()
	fleet, books, pings := pinger(t, time.Second, func(int) bool { return true })
	for range 2 {
		<-pings
	}
	if err := fleet.PingAll(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := books.failed(); err != nil {
		t.Error(err)
	}
	if d := fleet[0]; d.pinged.Load() || !d.silent {
		t.Errorf("after PingAll: waits for an answer %v, silent %v", d.pinged.Load(), d.silent)
	}
}

// A ping without an answer is a fault.
func TestPingWithoutAnswer(t *testing.T) {
	t.Parallel()
	_, books, pings := pinger(t, time.Second, func(n int) bool { return n == 1 })
	for range 2 {
		<-pings
	}
	err := errors.New("nothing failed")
	for end := time.Now().Add(10 * time.Second); time.Now().Before(end); {
		if fault := books.failed(); fault != nil {
			err = fault
			break
		}
		<-time.After(pollPause)
	}
	if !strings.Contains(err.Error(), "no answer") {
		t.Error(err)
	}
}
