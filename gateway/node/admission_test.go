package node

import (
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"testing"
	"time"

	"sluice/mqtt/mqtttest"
	"sluice/mqtt/packet"
)

// hasMetrics waits until the metrics have these lines: some are counted just after the device was told.
func hasMetrics(t *testing.T, n *Node, want ...string) {
	t.Helper()
	end := time.NewTimer(patience)
	defer end.Stop()
	for {
		_, body := get(t, "http://"+n.Admin+"/metrics")
		missing := ""
		for _, w := range want {
			if !strings.Contains(body, w+"\n") {
				missing = w
			}
		}
		if missing == "" {
			return
		}
		select {
		case <-time.After(5 * time.Millisecond):
		case <-end.C:
			name, _, _ := strings.Cut(missing, "{")
			for line := range strings.Lines(body) {
				if strings.HasPrefix(line, name) {
					t.Log(strings.TrimSpace(line))
				}
			}
			t.Fatalf("metrics lack %q", missing)
		}
	}
}

// TestTooManyConnectionsAreTold: on plain TCP in the words of the device's version; who is there already stays.
func TestTooManyConnectionsAreTold(t *testing.T) {
	n := start(t, alone(t, "limits.connections=1", "mqtt.ws.listen=127.0.0.1:0"))
	waitReady(t, n)
	first := mqtttest.Dial(t, n.TCP, packet.V5)
	first.Connect()
	for v, want := range map[packet.Version]packet.ReasonCode{packet.V5: packet.ServerBusy, packet.V311: packet.ServerUnavailable} {
		d := mqtttest.Dial(t, n.TCP, v)
		if connack := d.Connect(); connack.Reason != want {
			t.Errorf("%v: CONNACK with %v, want %v", v, connack.Reason, want)
		}
		d.ExpectClosed()
	}
	conn, err := net.Dial("tcp", n.WS)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	_ = conn.SetReadDeadline(time.Now().Add(patience))
	if got, err := io.ReadAll(conn); len(got) > 0 || os.IsTimeout(err) {
		t.Errorf("a WebSocket beyond the limit gets %q, %v; want to be closed", got, err)
	}
	if r := first.Publish("a", []byte("x"), 1); r.Failed() {
		t.Errorf("the device that was there gets %v", r)
	}
	hasMetrics(t, n, `sluice_connections_shed_total{limit="connections"} 3`, `sluice_connects_total{reason="Server busy"} 2`, "sluice_connections 1")
	first.Disconnect()
}

// TestWhoIsTurnedAwayMustSayConnect: anything else, or nothing, gets no answer and holds no place.
func TestWhoIsTurnedAwayMustSayConnect(t *testing.T) {
	n := start(t, alone(t, "limits.connections=1"))
	waitReady(t, n)
	first := mqtttest.Dial(t, n.TCP, packet.V5)
	first.Connect()
	for _, said := range []string{"\xc0\x00", "GET / HTTP/1.1\r\n\r\n", "\x10\xff\xff\x7f"} {
		conn, err := net.Dial("tcp", n.TCP)
		if err != nil {
			t.Fatal(err)
		}
		_, _ = conn.Write([]byte(said))
		_ = conn.SetReadDeadline(time.Now().Add(patience))
		if got, err := io.ReadAll(conn); len(got) > 0 || os.IsTimeout(err) {
			t.Errorf("%q is answered with % x, %v; want to be closed", said, got, err)
		}
		_ = conn.Close()
	}
	first.Disconnect()
}

func TestConnectRate(t *testing.T) {
	const rate = 3
	n := start(t, alone(t, fmt.Sprintf("limits.connect_rate=%d", rate)))
	waitReady(t, n)
	// More than the rate lets in even if this takes a while, one after another.
	counts := map[packet.ReasonCode]int{}
	begin := time.Now()
	for counts[packet.ConnectionRateExceeded] == 0 && time.Since(begin) < patience {
		d := mqtttest.Dial(t, n.TCP, packet.V5)
		counts[d.Connect().Reason]++
		d.Close()
	}
	most := rate * int(time.Since(begin)/time.Second+2)
	if in := counts[packet.Success]; in < rate || in > most || len(counts) != 2 {
		t.Errorf("%v, want at least %d and at most %d let in, and one refused", counts, rate, most)
	}
	hasMetrics(t, n, `sluice_connections_shed_total{limit="rate"} 1`)
}
