package transport

import (
	"bytes"
	"errors"
	"io"
	"net"
	"testing"
	"time"

	"sluice/mqtt/packet"
)

// recorded is a device that has said all it will ever say.
type recorded struct {
	net.Conn
	said   io.Reader
	heard  bytes.Buffer
	closed bool
}

func (r *recorded) Read(p []byte) (int, error)       { return r.said.Read(p) }
func (r *recorded) Write(p []byte) (int, error)      { return r.heard.Write(p) }
func (r *recorded) SetDeadline(time.Time) error      { return nil }
func (r *recorded) SetReadDeadline(time.Time) error  { return nil }
func (r *recorded) SetWriteDeadline(time.Time) error { return nil }
func (r *recorded) Close() error                     { r.closed = true; return nil }

const goodHandshake = "GET /mqtt HTTP/1.1\r\nHost: gateway\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n" +
	"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Protocol: mqtt\r\n\r\n"

// FuzzUpgrade: whatever comes as a handshake, there is a WebSocket, a refusal over HTTP, or the end of a connection that broke off.
func FuzzUpgrade(f *testing.F) {
	f.Add([]byte(goodHandshake))
	f.Add([]byte("GET / HTTP/1.0\r\n\r\n"))
	f.Add([]byte("POST /mqtt HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhello"))
	f.Add([]byte("\x10\x0c\x00\x04MQTT\x04\x02\x00\n\x00\x00"))
	f.Fuzz(func(t *testing.T, said []byte) {
		device := &recorded{said: bytes.NewReader(said)}
		conn, err := anyWebSocket.Upgrade(device, time.Second)
		heard := device.heard.String()
		switch {
		case err == nil:
			if !bytes.HasPrefix([]byte(heard), []byte("HTTP/1.1 101 ")) {
				t.Errorf("a WebSocket after %q", heard)
			}
			_ = conn.Close()
		case errors.Is(err, ErrNotUpgraded):
			if !bytes.HasPrefix([]byte(heard), []byte("HTTP/1.1 4")) {
				t.Errorf("refused with %q", heard)
			}
		case heard != "":
			t.Errorf("an error of the connection, %v, after %q", err, heard)
		}
	})
}

// FuzzFrames: whatever comes behind a handshake is packets, a refusal, or the end; reading it always ends.
func FuzzFrames(f *testing.F) {
	f.Add([]byte{0x82, 0x82, 0, 0, 0, 0, 0xC0, 0x00})                            // PINGREQ
	f.Add([]byte{0x02, 0x81, 1, 2, 3, 4, 0xC1, 0x80, 0x81, 0, 0, 0, 0, 0x00})    // in two fragments
	f.Add([]byte{0x81, 0x82, 0, 0, 0, 0, 'h', 'i', 0x82, 0x80, 0, 0, 0, 0})      // text
	f.Add([]byte{0x89, 0x80, 0, 0, 0, 0, 0x88, 0x82, 0, 0, 0, 0, 0x03, 0xE8})    // ping, close
	f.Add([]byte{0x82, 0xFF, 0x7F, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0}) // a frame without end
	f.Fuzz(func(t *testing.T, frames []byte) {
		device := &recorded{said: io.MultiReader(bytes.NewReader([]byte(goodHandshake)), bytes.NewReader(frames))}
		conn, err := anyWebSocket.Upgrade(device, time.Second)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		total, refusals := 0, 0
		for b := make([]byte, 64); ; {
			n, err := conn.Read(b)
			total += n
			var refused *packet.Error
			if errors.As(err, &refused) {
				refusals++
				continue
			}
			if err != nil {
				break
			}
		}
		if total > len(frames) || refusals > 1 {
			t.Errorf("%d bytes and %d refusals from %d bytes", total, refusals, len(frames))
		}
	})
}
