package transport

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"os"
	"testing"
	"testing/synctest"
	"time"

	"github.com/coder/websocket"

	"sluice/mqtt/packet"
)

// stream is a CONNECT and some packets behind it, as bytes.
func stream(t *testing.T) []byte {
	t.Helper()
	var b []byte
	for _, p := range []packet.Packet{
		&packet.Connect{Version: packet.V5, ClientID: "c", CleanStart: true}, publish(1000), &packet.Pingreq{}, publish(3), &packet.Disconnect{},
	} {
		var err error
		if b, err = packet.Append(b, p, packet.V5); err != nil {
			t.Fatal(err)
		}
	}
	return b
}

// expectStream reads what stream wrote.
func expectStream(t *testing.T, r io.Reader) {
	t.Helper()
	reader := packet.NewReader(r, packet.MaxPacketSize)
	for _, want := range []packet.Type{packet.CONNECT, packet.PUBLISH, packet.PINGREQ, packet.PUBLISH, packet.DISCONNECT} {
		p, err := reader.ReadPacket()
		if err != nil {
			t.Fatalf("%v did not come: %v", want, err)
		}
		if p.Type() != want {
			t.Fatalf("got %v, want %v", p.Type(), want)
		}
	}
}

// TestPacketsKnowNothingOfFrames: [MQTT-6.0.0-2].
func TestPacketsKnowNothingOfFrames(t *testing.T) {
	for name, send := range map[string]func(ctx context.Context, device *websocket.Conn, b []byte) error{
		"all in one": func(ctx context.Context, device *websocket.Conn, b []byte) error {
			return device.Write(ctx, websocket.MessageBinary, b)
		},
		"one byte each": func(ctx context.Context, device *websocket.Conn, b []byte) error {
			for i := range b {
				if err := device.Write(ctx, websocket.MessageBinary, b[i:i+1]); err != nil {
					return err
				}
			}
			return nil
		},
		"fragments of one message, empty messages and a ping between": func(ctx context.Context, device *websocket.Conn, b []byte) error {
			if err := device.Write(ctx, websocket.MessageBinary, nil); err != nil {
				return err
			}
			w, err := device.Writer(ctx, websocket.MessageBinary)
			for i := 0; i < len(b) && err == nil; i += 7 {
				_, err = w.Write(b[i:min(i+7, len(b))])
			}
			return errors.Join(err, w.Close())
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ours, device, _ := opened(t)
				sent := make(chan error, 1)
				go func() { sent <- send(t.Context(), device, stream(t)) }()
				expectStream(t, ours)
				if err := <-sent; err != nil {
					t.Error(err)
				}
			})
		})
	}
}

// TestATextFrameIsRefused: [MQTT-6.0.0-1]. The device's developer gets the reason, as DISCONNECT and as the status of the close frame.
func TestATextFrameIsRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ours, device, _ := opened(t)
		go func() { _ = device.Write(context.Background(), websocket.MessageText, []byte("hello")) }()
		_, err := io.ReadAll(ours)
		var refused *packet.Error
		if !errors.As(err, &refused) || refused.Clause != "MQTT-6.0.0-1" || refused.Reason != packet.ProtocolError {
			t.Fatalf("Read gives %v", err)
		}
		w := NewWriter(ours, time.Second, 100, nobody{})
		if err := w.Append(&packet.Disconnect{Reason: packet.ProtocolError}, packet.V5); err != nil {
			t.Fatal(err)
		}
		w.CloseAfterFlush()
		go func() { _, _ = io.Copy(io.Discard, ours) }()
		if _, b, err := device.Read(t.Context()); err != nil || b[0] != 0xE0 {
			t.Errorf("got %x, %v; want DISCONNECT", b, err)
		}
		if _, _, err := device.Read(t.Context()); websocket.CloseStatus(err) != websocket.StatusUnsupportedData {
			t.Errorf("closed with %v, want 1003", err)
		}
	})
}

func TestLargeWritesAreSeveralFrames(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ours, device, _ := opened(t)
		sent := bytes.Repeat([]byte("0123456789"), 10_000)
		written := make(chan error, 1)
		go func() {
			n, err := ours.Write(sent)
			if n != len(sent) {
				err = errors.Join(err, io.ErrShortWrite)
			}
			written <- err
		}()
		var got []byte
		for len(got) < len(sent) {
			kind, b, err := device.Read(t.Context())
			if err != nil || kind != websocket.MessageBinary || len(b) > frameMax {
				t.Fatalf("a frame of kind %v with %d bytes, %v", kind, len(b), err)
			}
			got = append(got, b...)
		}
		if !bytes.Equal(got, sent) {
			t.Error("the bytes are others")
		}
		if err := <-written; err != nil {
			t.Error(err)
		}
	})
}

// TestPingsAreAnsweredLongAfterAWrite: the deadline of a write is not that of the answer to a ping.
func TestPingsAreAnsweredLongAfterAWrite(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ours, device, _ := opened(t)
		w := NewWriter(ours, 30*time.Second, 100, nobody{})
		if err := w.Append(&packet.Pingresp{}, packet.V5); err != nil {
			t.Fatal(err)
		}
		ended := make(chan error, 1)
		go func() {
			_, err := ours.Read(make([]byte, 1))
			ended <- err
		}()
		if _, _, err := device.Read(t.Context()); err != nil {
			t.Fatal(err)
		}
		ctx := device.CloseRead(t.Context())
		time.Sleep(time.Minute) // the bubble's clock
		if err := device.Ping(ctx); err != nil {
			t.Error(err)
		}
		_ = device.Close(websocket.StatusGoingAway, "")
		if err := <-ended; err != io.EOF {
			t.Errorf("the device's farewell reads as %v, want EOF", err)
		}
	})
}

func TestCloseAfterFlushSaysGoodbye(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ours, device, _ := opened(t)
		w := NewWriter(ours, time.Second, 100, nobody{})
		if err := w.Append(&packet.Disconnect{Reason: packet.ServerShuttingDown}, packet.V5); err != nil {
			t.Fatal(err)
		}
		w.CloseAfterFlush()
		ended := make(chan error, 1)
		go func() {
			_, err := io.Copy(io.Discard, ours)
			ended <- err
		}()
		if _, b, err := device.Read(t.Context()); err != nil || b[0] != 0xE0 {
			t.Errorf("got %x, %v; want DISCONNECT", b, err)
		}
		if _, _, err := device.Read(t.Context()); websocket.CloseStatus(err) != websocket.StatusNormalClosure {
			t.Errorf("closed with %v, want 1000", err)
		}
		// The device's farewell is read here, or by the close handshake, which then closes the connection under the reader.
		if err := <-ended; err != nil && !errors.Is(err, net.ErrClosed) {
			t.Errorf("the reader ends with %v", err)
		}
	})
}

// TestADeviceThatDoesNotSayGoodbyeIsLeft: the close handshake has its bound.
func TestADeviceThatDoesNotSayGoodbyeIsLeft(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ours, _, pipe := opened(t)
		begin := time.Now()
		w := NewWriter(ours, time.Second, 100, nobody{})
		w.CloseAfterFlush()
		go func() { _, _ = io.Copy(io.Discard, pipe) }() // reads, and answers nothing
		if _, err := io.Copy(io.Discard, ours); err == nil {
			t.Error("the reader ends as if the device had said goodbye")
		}
		_ = ours.Close()
		if took := time.Since(begin); took != closeLinger {
			t.Errorf("it took %v, want %v", took, closeLinger)
		}
	})
}

func TestAWebSocketThatReadsNothingIsClosed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ours, _, _ := opened(t)
		w := NewWriter(ours, 30*time.Second, 1<<16, nobody{})
		if err := w.Append(publish(1000), packet.V5); err != nil {
			t.Fatal(err)
		}
		time.Sleep(31 * time.Second) // the bubble's clock
		synctest.Wait()
		if err := w.Append(publish(1), packet.V5); err != ErrClosed {
			t.Errorf("Append gives %v, want ErrClosed", err)
		}
		if _, err := ours.Read(make([]byte, 1)); err == nil {
			t.Error("still open")
		}
	})
}

func TestReadDeadlines(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ours, _, _ := opened(t)
		begin := time.Now()
		_ = ours.SetReadDeadline(begin.Add(time.Second))
		if _, err := ours.Read(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) || time.Since(begin) != time.Second {
			t.Errorf("Read gives %v after %v", err, time.Since(begin))
		}
	})
}
