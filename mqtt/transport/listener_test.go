package transport

import (
	"crypto/tls"
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func TestATakenPortNamesTheKey(t *testing.T) {
	l, err := Listen("127.0.0.1:0", "mqtt.tcp.listen")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	_, err = Listen(l.Addr().String(), "mqtt.tcp.listen")
	if err == nil || !strings.Contains(err.Error(), "mqtt.tcp.listen") || !strings.Contains(err.Error(), "in use") {
		t.Errorf("got %v", err)
	}
}

func TestAcceptEndsWithItsListener(t *testing.T) {
	l, err := Listen("127.0.0.1:0", "k")
	if err != nil {
		t.Fatal(err)
	}
	got, done := make(chan net.Conn), make(chan error)
	go func() {
		done <- Accept(l, func(c net.Conn) { got <- c }, func(err error) { t.Errorf("failed: %v", err) })
	}()
	c, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	(<-got).Close()
	l.Close()
	if err := <-done; err != nil {
		t.Errorf("Accept gives %v", err)
	}
}

func TestAHandshakeThatNeverComesEnds(t *testing.T) {
	const limit = 10 * time.Second
	synctest.Test(t, func(t *testing.T) {
		ours, device := net.Pipe()
		defer device.Close()
		defer ours.Close()
		begin := time.Now()
		if _, err := Handshake(ours, &tls.Config{}, limit); err == nil {
			t.Error("a silent device got through")
		}
		if took := time.Since(begin); took != limit {
			t.Errorf("it took %v", took)
		}
	})
}
