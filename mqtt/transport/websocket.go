package transport

import (
	"context"
	"io"
	"net"
	"sync/atomic"
	"time"

	"github.com/coder/websocket"

	"sluice/mqtt/packet"
)

// webSocketConn carries a stream of bytes in the binary frames of a WebSocket. Where frames begin and end has no meaning for the packets in
// them [MQTT-6.0.0-2].
//
// Deadlines are those of the connection below. A write deadline holds for one Write: pings are answered between Writes, by the reader.
type webSocketConn struct {
	net.Conn // TCP or TLS
	ws       *websocket.Conn
	message  io.Reader // what is left of the message being read; nil between messages
	refused  atomic.Bool
	closing  atomic.Bool
}

// errTextFrame: [MQTT-6.0.0-1] wants the connection closed; who sent it also gets to know why.
func errTextFrame() error {
	return &packet.Error{
		Reason: packet.ProtocolError, Clause: "MQTT-6.0.0-1", Detail: "a WebSocket frame with text came; MQTT goes in binary frames",
	}
}

// Read gives bytes of binary frames. The first text frame gives a *packet.Error; what comes after it is only good for being thrown away.
func (c *webSocketConn) Read(p []byte) (int, error) {
	for {
		if c.message == nil {
			kind, message, err := c.ws.Reader(context.Background())
			if err != nil {
				return 0, ended(err)
			}
			c.message = message
			if kind != websocket.MessageBinary && !c.refused.Swap(true) {
				return 0, errTextFrame()
			}
		}
		n, err := c.message.Read(p)
		if err == io.EOF {
			c.message, err = nil, nil
		}
		if n > 0 || err != nil || len(p) == 0 {
			return n, err
		}
	}
}

// ended makes the peer's farewell what it is on any other connection.
func ended(err error) error {
	switch websocket.CloseStatus(err) {
	case websocket.StatusNormalClosure, websocket.StatusGoingAway, websocket.StatusNoStatusRcvd:
		return io.EOF
	}
	return err
}

// Write sends p in frames of at most frameMax bytes.
func (c *webSocketConn) Write(p []byte) (n int, err error) {
	for n < len(p) && err == nil {
		chunk := p[n:min(len(p), n+frameMax)]
		if err = c.ws.Write(context.Background(), websocket.MessageBinary, chunk); err == nil {
			n += len(chunk)
		}
	}
	_ = c.SetWriteDeadline(time.Time{})
	return n, err
}

// CloseWrite says goodbye with a close frame and does not wait for the device's, for which the reader may go on until it comes. The goroutine
// it starts ends when the device has answered, with the read deadline, or with Close.
func (c *webSocketConn) CloseWrite() error {
	if c.closing.Swap(true) {
		return nil
	}
	status := websocket.StatusNormalClosure
	if c.refused.Load() {
		status = websocket.StatusUnsupportedData
	}
	go func() { _ = c.ws.Close(status, "") }()
	return nil
}

// Close ends the connection at once.
func (c *webSocketConn) Close() error {
	err := c.Conn.Close()
	_ = c.ws.CloseNow()
	return err
}
