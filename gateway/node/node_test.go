package node

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"
	"go.uber.org/zap"

	"sluice/gateway/config"
	"sluice/mqtt/mqtttest"
	"sluice/mqtt/packet"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// patience is how long a test waits for what should happen; one that passes never waits for it.
const patience = time.Minute

// alone is a configuration for a node with its own bus, on free ports.
func alone(t *testing.T, set ...string) *config.Config {
	t.Helper()
	set = append([]string{"mqtt.tcp.listen=127.0.0.1:0", "bus.embedded.listen=127.0.0.1:0", "admin.listen=127.0.0.1:0"}, set...)
	c, _, err := config.Load(config.Source{Set: set})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func start(t *testing.T, c *config.Config) *Node {
	t.Helper()
	n, err := Start(t.Context(), c, zap.NewNop())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { stop(t, n) })
	return n
}

func stop(t *testing.T, n *Node) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if err := n.Stop(ctx); err != nil && !errors.Is(err, net.ErrClosed) {
		t.Error(err)
	}
}

func get(t *testing.T, url string) (int, string) {
	t.Helper()
	resp, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	defer http.DefaultClient.CloseIdleConnections()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(body)
}

func waitReady(t *testing.T, n *Node) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	for n.Ready(ctx) != nil {
		select {
		case <-ctx.Done():
			t.Fatalf("never ready: %v", n.Ready(t.Context()))
		case <-time.After(5 * time.Millisecond):
		}
	}
}

func TestAdminTellsHealthReadinessAndMetrics(t *testing.T) {
	n := start(t, alone(t))
	waitReady(t, n)
	for path, want := range map[string]string{"/healthz": "ok", "/readyz": "ready", "/metrics": "sluice_connections 0"} {
		if status, body := get(t, "http://"+n.Admin+path); status != http.StatusOK || !strings.Contains(body, want) {
			t.Errorf("%s: %d, %.200q; want 200 and %q", path, status, body, want)
		}
	}
	conn, err := net.Dial("tcp", n.TCP)
	if err != nil {
		t.Fatal(err)
	}
	d := mqtttest.New(t, conn, packet.V5)
	d.Connect()
	d.Publish("nobody/listens", []byte("x"), 1)
	_, body := get(t, "http://"+n.Admin+"/metrics")
	for _, want := range []string{"sluice_connections 1", `sluice_connects_total{reason="Success"} 1`, `sluice_publishes_total{qos="1",reason="No matching subscribers"} 1`} {
		if !strings.Contains(body, want) {
			t.Errorf("metrics lack %q", want)
		}
	}
	d.Disconnect()
}

func TestReadinessFollowsTheBus(t *testing.T) {
	n := start(t, alone(t))
	waitReady(t, n)
	n.embedded.stop()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	for {
		status, body := get(t, "http://"+n.Admin+"/readyz")
		if status == http.StatusServiceUnavailable {
			if !strings.HasPrefix(body, "bus:") {
				t.Errorf("503 with %q, want it to name the bus", body)
			}
			break
		}
		if ctx.Err() != nil {
			t.Fatal("still ready without a bus")
		}
	}
	if status, _ := get(t, "http://"+n.Admin+"/healthz"); status != http.StatusOK {
		t.Error("a node without bus is not dead")
	}
}

func TestATakenPortNamesItsKeyAndLeavesNothingRunning(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	for _, key := range []string{"mqtt.tcp.listen", "mqtt.ws.listen", "bus.embedded.listen", "admin.listen"} {
		n, err := Start(t.Context(), alone(t, key+"="+taken.Addr().String()), zap.NewNop())
		if err == nil {
			_ = n.Stop(t.Context())
			t.Fatalf("%s: started on a taken port", key)
		}
		if !strings.Contains(err.Error(), key) || !strings.Contains(err.Error(), "in use") {
			t.Errorf("%s: %v", key, err)
		}
	}
}

// handshaking opens connections to a node of limits.connections=1 until one is known to be in its handshake, since the other is closed.
func handshaking(t *testing.T, n *Node) net.Conn {
	t.Helper()
	ended := make(chan int, 2)
	var silent []net.Conn
	for i := range 2 {
		conn, err := net.Dial("tcp", n.WS)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = conn.Close() })
		silent = append(silent, conn)
		go func() {
			_, _ = conn.Read(make([]byte, 1))
			ended <- i
		}()
	}
	select {
	case shed := <-ended:
		return silent[1-shed]
	case <-time.After(patience):
		t.Fatal("two handshakes go on where one connection may be")
		return nil
	}
}

// A connection counts from its first byte on the way to MQTT, not only once it is there: strangers who never finish a handshake cannot be more
// than limits.connections, and take the places of devices no longer than mqtt.connect_timeout.
func TestHandshakesCountAgainstTheLimit(t *testing.T) {
	n := start(t, alone(t, "mqtt.ws.listen=127.0.0.1:0", "limits.connections=1", "mqtt.connect_timeout=1m"))
	waitReady(t, n)
	_ = handshaking(t, n).Close() // its place is free again
	connect, err := packet.Append(nil, &packet.Connect{Version: packet.V5, CleanStart: true, ClientID: "c"}, packet.V5)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	for {
		conn, err := net.Dial("tcp", n.TCP)
		if err != nil {
			t.Fatal(err)
		}
		_, _ = conn.Write(connect)
		got := make([]byte, 1)
		_, err = io.ReadFull(conn, got)
		_ = conn.Close()
		if err == nil && packet.Type(got[0]>>4) == packet.CONNACK {
			return
		}
		if ctx.Err() != nil {
			t.Fatalf("the place is not free again: %v", err)
		}
	}
}

func TestAStopDoesNotWaitForHandshakes(t *testing.T) {
	n, err := Start(t.Context(), alone(t, "mqtt.ws.listen=127.0.0.1:0", "limits.connections=1", "mqtt.connect_timeout=10m"), zap.NewNop())
	if err != nil {
		t.Fatal(err)
	}
	waitReady(t, n)
	handshaking(t, n)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if err := n.Stop(ctx); err != nil {
		t.Error(err)
	}
}
