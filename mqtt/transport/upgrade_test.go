package transport

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/coder/websocket"
)

var anyWebSocket = WebSocket{Path: "/mqtt", Origins: []string{AnyOrigin}}

// upgraded is what Upgrade gave.
type upgraded struct {
	conn net.Conn
	err  error
}

// upgrading runs Upgrade on one end of a connection and gives an HTTP client whose only connection is the other.
func upgrading(t *testing.T, w WebSocket) (*http.Client, net.Conn, <-chan upgraded) {
	t.Helper()
	ours, device := net.Pipe()
	result := make(chan upgraded, 1)
	go func() {
		conn, err := w.Upgrade(ours, 10*time.Second)
		if err != nil {
			_ = ours.Close()
		}
		result <- upgraded{conn, err}
	}()
	transport := &http.Transport{DialContext: func(context.Context, string, string) (net.Conn, error) { return device, nil }}
	t.Cleanup(func() {
		transport.CloseIdleConnections()
		_ = ours.Close()
		_ = device.Close()
	})
	return &http.Client{Transport: transport}, device, result
}

// opened gives both ends of a WebSocket.
func opened(t *testing.T) (ours net.Conn, device *websocket.Conn, pipe net.Conn) {
	t.Helper()
	client, pipe, result := upgrading(t, anyWebSocket)
	device, _, err := websocket.Dial(t.Context(), "ws://gateway/mqtt", &websocket.DialOptions{HTTPClient: client, Subprotocols: []string{"other", "mqtt"}})
	if err != nil {
		t.Fatal(err)
	}
	if got := device.Subprotocol(); got != "mqtt" {
		t.Errorf("the subprotocol is %q [MQTT-6.0.0-4]", got)
	}
	r := <-result
	if r.err != nil {
		t.Fatal(r.err)
	}
	t.Cleanup(func() { _ = r.conn.Close(); _ = device.CloseNow() })
	return r.conn, device, pipe
}

// TestWhatIsNoHandshakeIsToldWhy: each is answered over HTTP, by status and a sentence.
func TestWhatIsNoHandshakeIsToldWhy(t *testing.T) {
	handshake := map[string]string{
		"Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Version": "13", "Sec-WebSocket-Key": "AAAAAAAAAAAAAAAAAAAAAA==", "Sec-WebSocket-Protocol": "mqtt",
	}
	for _, c := range []struct {
		name    string
		method  string
		path    string
		headers map[string]string // beside or instead of those of a handshake; nil: a plain request
		status  int
		says    string
	}{
		{"a browser looks in", "GET", "/mqtt", nil, http.StatusUpgradeRequired, "MQTT client"},
		{"wrong path", "GET", "/", map[string]string{}, http.StatusNotFound, "/mqtt"},
		{"longer path", "GET", "/mqtt/x", map[string]string{}, http.StatusNotFound, "/mqtt"},
		{"no subprotocol", "GET", "/mqtt", map[string]string{"Sec-WebSocket-Protocol": ""}, http.StatusBadRequest, "MQTT-6.0.0-3"},
		{"other subprotocol", "GET", "/mqtt", map[string]string{"Sec-WebSocket-Protocol": "wamp, mqttv3.1"}, http.StatusBadRequest, "MQTT-6.0.0-3"},
		{"other spelling", "GET", "/mqtt", map[string]string{"Sec-WebSocket-Protocol": "MQTT"}, http.StatusBadRequest, "MQTT-6.0.0-3"},
		{"POST", "POST", "/mqtt", map[string]string{}, http.StatusMethodNotAllowed, "GET"},
		{"old version", "GET", "/mqtt", map[string]string{"Sec-WebSocket-Version": "8"}, http.StatusBadRequest, "13"},
		{"no key", "GET", "/mqtt", map[string]string{"Sec-WebSocket-Key": ""}, http.StatusBadRequest, "Sec-WebSocket-Key"},
		{"strange page", "GET", "/mqtt", map[string]string{"Origin": "https://evil.example"}, http.StatusForbidden, "evil.example"},
		{"endless header", "GET", "/mqtt", map[string]string{"Cookie": strings.Repeat("x", handshakeMax)}, http.StatusRequestHeaderFieldsTooLarge, "16384 bytes"},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				client, _, result := upgrading(t, WebSocket{Path: "/mqtt", Origins: []string{"*.example.com"}})
				req, err := http.NewRequest(c.method, "http://gateway"+c.path, nil)
				if err != nil {
					t.Fatal(err)
				}
				if c.headers != nil {
					for _, set := range []map[string]string{handshake, c.headers} {
						for name, value := range set {
							req.Header.Set(name, value)
						}
					}
				}
				resp, err := client.Do(req)
				if err != nil {
					t.Fatal(err)
				}
				defer resp.Body.Close()
				body, err := io.ReadAll(resp.Body)
				if err != nil || resp.StatusCode != c.status || !strings.Contains(string(body), c.says) {
					t.Errorf("%d %q, %v; want %d and %q", resp.StatusCode, body, err, c.status, c.says)
				}
				if r := <-result; !errors.Is(r.err, ErrNotUpgraded) {
					t.Errorf("Upgrade gives %v", r.err)
				}
			})
		})
	}
}

func TestOriginsThatMayConnect(t *testing.T) {
	for _, c := range []struct {
		origins []string
		origin  string
	}{
		{[]string{"*.example.com"}, "https://app.example.com"},
		{[]string{"https://app.example.com", "other.example"}, "https://app.example.com"},
		{[]string{AnyOrigin}, "https://evil.example"},
		{nil, ""},
		{nil, "http://gateway"},
	} {
		synctest.Test(t, func(t *testing.T) {
			client, _, result := upgrading(t, WebSocket{Path: "/mqtt", Origins: c.origins})
			options := &websocket.DialOptions{HTTPClient: client, Subprotocols: []string{"mqtt"}, HTTPHeader: http.Header{}}
			if c.origin != "" {
				options.HTTPHeader.Set("Origin", c.origin)
			}
			device, _, err := websocket.Dial(t.Context(), "ws://gateway/mqtt", options)
			if err != nil {
				t.Fatalf("%v with %v: %v", c.origin, c.origins, err)
			}
			(<-result).conn.Close()
			_ = device.CloseNow()
		})
	}
}

func TestPlainMQTTIsToldThatThisIsWebSocket(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, pipe, result := upgrading(t, anyWebSocket)
		// CONNECT of MQTT 3.1.1; the line feed, one of its bytes, makes a line of it.
		go func() { _, _ = pipe.Write([]byte("\x10\x0c\x00\x04MQTT\x04\x02\x00\n\x00\x00")) }()
		got, err := io.ReadAll(pipe)
		if err != nil || !strings.HasPrefix(string(got), "HTTP/1.1 400") || !strings.Contains(string(got), "not plain MQTT") {
			t.Errorf("answered with %q, %v", got, err)
		}
		if r := <-result; !errors.Is(r.err, ErrNotUpgraded) {
			t.Errorf("Upgrade gives %v", r.err)
		}
	})
}

func TestAWebSocketHandshakeThatNeverComesEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, pipe, result := upgrading(t, anyWebSocket)
		begin := time.Now()
		go func() { _, _ = pipe.Write([]byte("GET /mqtt HTTP/1.1\r\nHost: ")) }()
		if r := <-result; r.err == nil || errors.Is(r.err, ErrNotUpgraded) {
			t.Errorf("Upgrade gives %v", r.err)
		}
		if took := time.Since(begin); took != 10*time.Second {
			t.Errorf("it took %v, not the 10s it may", took)
		}
	})
}
