package transport

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/coder/websocket"
)

// subprotocol is what MQTT is called in a WebSocket handshake [MQTT-6.0.0-3].
const subprotocol = "mqtt"

// WebSocket says how the connections of a listener become WebSockets.
type WebSocket struct {
	Path    string   // of the URL, "/mqtt"
	Origins []string // web pages that may connect, by host ("*.example.com") or scheme and host; AnyOrigin admits all
}

// AnyOrigin admits web pages of any origin. That is no danger while a device's credentials are in CONNECT: a strange page has none of them, as it
// would have cookies.
const AnyOrigin = "*"

// ErrNotUpgraded: what came is no WebSocket handshake for MQTT. Whoever sent it was told why.
var ErrNotUpgraded = errors.New("transport: no websocket")

// Upgrade answers the WebSocket handshake on conn, within timeout, and gives the connection that carries MQTT in its frames. Anything else is
// answered with HTTP and a sentence, the connection's sending half is closed, and the error is ErrNotUpgraded; other errors are the
// connection's. The caller closes conn after an error. It runs on the connection's own goroutine and starts none.
func (w WebSocket) Upgrade(conn net.Conn, timeout time.Duration) (net.Conn, error) {
	_ = conn.SetDeadline(time.Now().Add(timeout))
	head := io.LimitedReader{R: conn, N: handshakeMax}
	a := &answer{conn: conn, reader: bufio.NewReaderSize(&head, frameReadBuffer), header: http.Header{}}
	req, err := http.ReadRequest(a.reader)
	var lost net.Error
	switch {
	case err == nil:
		a.request = req
	case head.N == 0:
		a.refuse(http.StatusRequestHeaderFieldsTooLarge, fmt.Sprintf("The handshake has more than %d bytes.", handshakeMax))
	case errors.As(err, &lost), errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return nil, fmt.Errorf("websocket handshake: %w", err)
	default:
		a.refuse(http.StatusBadRequest, "This port takes MQTT over WebSocket, not plain MQTT, and what came is no HTTP request.")
	}
	if err == nil {
		if ws := w.accept(a, req); ws != nil {
			_ = conn.SetDeadline(time.Time{})
			return &webSocketConn{Conn: conn, ws: ws}, nil
		}
	}
	return nil, a.finish()
}

// accept gives the WebSocket, nil when the request was refused.
func (w WebSocket) accept(a *answer, req *http.Request) *websocket.Conn {
	switch {
	case req.URL.Path != w.Path:
		a.refuse(http.StatusNotFound, "MQTT over WebSocket is at "+w.Path+".")
		return nil
	case !strings.EqualFold(req.Header.Get("Upgrade"), "websocket"):
		a.header.Set("Upgrade", "websocket")
		a.refuse(http.StatusUpgradeRequired, "This is MQTT over WebSocket: connect with an MQTT client, subprotocol "+subprotocol+".")
		return nil
	case !offers(req.Header, subprotocol):
		a.refuse(http.StatusBadRequest, "Sec-WebSocket-Protocol does not offer "+subprotocol+"; MQTT over WebSocket needs it [MQTT-6.0.0-3].")
		return nil
	}
	// The library compares without case and would answer in the device's spelling [MQTT-6.0.0-4].
	req.Header.Set("Sec-WebSocket-Protocol", subprotocol)
	ws, err := websocket.Accept(a, req, &websocket.AcceptOptions{
		Subprotocols:       []string{subprotocol},
		InsecureSkipVerify: slices.Contains(w.Origins, AnyOrigin),
		OriginPatterns:     w.Origins,
	})
	if err != nil {
		return nil // Accept has written the answer
	}
	// Packets are bounded by who reads them; a frame may hold any number of them.
	ws.SetReadLimit(-1)
	return ws
}

func offers(h http.Header, protocol string) bool {
	for _, line := range h.Values("Sec-WebSocket-Protocol") {
		for name := range strings.SplitSeq(line, ",") {
			if strings.TrimSpace(name) == protocol {
				return true
			}
		}
	}
	return false
}

// answer is the http.ResponseWriter and http.Hijacker of one handshake.
type answer struct {
	conn    net.Conn
	reader  *bufio.Reader
	request *http.Request // nil when what came is none
	header  http.Header
	status  int
	body    bytes.Buffer
}

func (a *answer) Header() http.Header         { return a.header }
func (a *answer) WriteHeader(status int)      { a.status = status }
func (a *answer) Write(b []byte) (int, error) { return a.body.Write(b) }

func (a *answer) refuse(status int, text string) { http.Error(a, text, status) }

// Hijack sends the 101 and hands the connection over.
func (a *answer) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	var b bytes.Buffer
	fmt.Fprintf(&b, "HTTP/1.1 %d %s\r\n", a.status, http.StatusText(a.status))
	_ = a.header.Write(&b) // a buffer does not fail
	b.WriteString("\r\n")
	if _, err := a.conn.Write(b.Bytes()); err != nil {
		return nil, nil, err
	}
	return a.conn, bufio.NewReadWriter(a.reader, bufio.NewWriterSize(a.conn, frameWriteBuffer)), nil
}

// finish sends the refusal and waits a little for its reader to have it: closing with unread bytes would reset the connection under it.
func (a *answer) finish() error {
	text := strings.TrimSpace(a.body.String())
	r := http.Response{
		StatusCode: a.status, ProtoMajor: 1, ProtoMinor: 1, Header: a.header, Request: a.request, Close: true,
		Body: io.NopCloser(&a.body), ContentLength: int64(a.body.Len()),
	}
	if err := r.Write(a.conn); err != nil {
		return fmt.Errorf("websocket handshake: %w", err)
	}
	farewell(a.conn)
	return fmt.Errorf("%w: %s", ErrNotUpgraded, text)
}
