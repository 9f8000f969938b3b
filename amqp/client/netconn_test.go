package client

import (
	"bytes"
	"errors"
	"io"
	"net"
	"testing"
	"testing/synctest"
	"time"

	"sluice/amqp/frame"
)

func TestNetConnGathersWrites(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ours, theirs := net.Pipe()
		c := newNetConn(ours)
		var want []byte
		for i := range 100 { // nobody reads yet: the first write is with the socket, the others gather
			p := bytes.Repeat([]byte{byte(i)}, 10)
			want = append(want, p...)
			if n, err := c.Write(p); n != 10 || err != nil {
				t.Fatal(n, err)
			}
			synctest.Wait()
			clear(p) // Write has kept no reference
		}
		var got []byte
		buf := make([]byte, 4096)
		reads := 0
		for len(got) < len(want) {
			n, err := theirs.Read(buf)
			if err != nil {
				t.Fatal(err)
			}
			got = append(got, buf[:n]...)
			reads++
		}
		if !bytes.Equal(got, want) || reads > 2 {
			t.Errorf("%d bytes of %d in %d writes", len(got), len(want), reads)
		}
		_ = theirs.Close()
		_ = c.Close()
	})
}

func TestNetConnBlocksWhenFullAndGivesUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ours, theirs := net.Pipe()
		defer theirs.Close()
		c := newNetConn(ours)
		start := time.Now()
		var err error
		written := 0
		for err == nil {
			var n int
			n, err = c.Write(make([]byte, 1024))
			written += n
		}
		if waited := time.Since(start); waited != writeTimeout {
			t.Errorf("gave up after %v: %v", waited, err)
		}
		if written < writeBuffer || written > 2*writeBuffer+1024 {
			t.Errorf("%d bytes were taken by a stalled connection", written)
		}
		_ = c.Close()
	})
}

func TestNetConnFlushesOnClose(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ours, theirs := net.Pipe()
		c := newNetConn(ours)
		_, _ = c.Write([]byte("first"))
		synctest.Wait()
		_, _ = c.Write([]byte("last"))
		go func() { _ = c.Close() }()
		got, err := io.ReadAll(theirs)
		if err != nil || string(got) != "firstlast" {
			t.Errorf("%q, %v", got, err)
		}
		if _, err := c.Write([]byte("x")); err == nil {
			t.Error("a write after Close succeeds")
		}
	})
}

func TestNetConnGuardsWhatItReads(t *testing.T) {
	ours, theirs := net.Pipe()
	c := newNetConn(ours)
	in := frame.AppendProtocolHeader(nil, 0)
	in = append(in, encodeFrame(t, &frame.Open{ContainerID: "x", MaxFrameSize: 512, ChannelMax: 5}, nil)...)
	in = append(in, frame.AppendHeartbeat(nil)...)
	in = append(in, encodeFrame(t, transfer(3), []byte("payload"))...)
	go func() {
		for i := range in { // one byte at a time
			_, _ = theirs.Write(in[i : i+1])
		}
		_, _ = theirs.Write([]byte{0xff, 0, 0, 0, 2, 0, 0, 0})
	}()
	want := len(in) + 8
	got := make([]byte, want)
	if _, err := io.ReadFull(c, got); err != nil {
		t.Fatal(err)
	}
	if !bytes.HasSuffix(got, append([]byte{0x00, 0x53, 0x75, 0xb0, 0, 0, 0, 7}, "payload"...)) {
		t.Errorf("%x", got)
	}
	if c.peer().channelMax != 5 {
		t.Errorf("peer %+v", c.peer())
	}
	var refused *guardError
	if _, err := c.Read(got); !errors.As(err, &refused) {
		t.Errorf("an oversize frame: %v", err)
	}
	_ = theirs.Close()
	_ = c.Close()
}
