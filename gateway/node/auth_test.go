package node

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/zap"

	"sluice/gateway/auth/password"
	"sluice/gateway/config"
	"sluice/mqtt/mqtttest"
	"sluice/mqtt/packet"
)

// passwords is a file with one user, ada, and her password, apple.
func passwords(t *testing.T) string {
	t.Helper()
	hash, err := password.Hash([]byte("apple"))
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "passwords")
	if err := os.WriteFile(file, []byte("ada:"+hash+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

func as(user, secret string) func(*packet.Connect) {
	return func(p *packet.Connect) {
		p.HasUsername, p.Username, p.HasPassword, p.Password = true, user, true, []byte(secret)
	}
}

// TestGuessesCountForTheDevice and not for the load balancer that it comes through. No secret is in the log.
func TestGuessesCountForTheDevice(t *testing.T) {
	// A slow machine hashes for longer than a device is given otherwise; who gave up has not guessed.
	n, logs := startObserved(t, "mqtt.tcp.proxies=127.0.0.0/8", "auth.methods=password", "auth.password_file="+passwords(t), "mqtt.connect_timeout=10m")
	from := func(host, user, secret string) *mqtttest.Device {
		d := mqtttest.New(t, dialWith(t, n.TCP, fmt.Sprintf("PROXY TCP4 %s 198.51.100.1 4711 1883\r\n", host)), packet.V5)
		c := &packet.Connect{Version: packet.V5, CleanStart: true, ClientID: fmt.Sprint(host, user, secret[:1])}
		as(user, secret)(c)
		d.Send(c)
		return d
	}
	var guesses []*mqtttest.Device
	for i := range 25 {
		guesses = append(guesses, from("192.0.2.7", "ada", fmt.Sprint("hush", i)))
	}
	slowed := 0
	for _, d := range guesses {
		if mqtttest.Expect[*packet.Connack](d).Reason == packet.ConnectionRateExceeded {
			slowed++
		}
	}
	if slowed < 10 {
		t.Errorf("%d of 25 guesses are refused unseen, want ten at least", slowed)
	}
	if r := mqtttest.Expect[*packet.Connack](from("192.0.2.7", "ada", "apple")).Reason; r != packet.ConnectionRateExceeded {
		t.Errorf("the right password from that address in the pause: %v", r)
	}
	if r := mqtttest.Expect[*packet.Connack](from("192.0.2.8", "ada", "apple")).Reason; r != packet.Success {
		t.Errorf("the right password from another address: %v", r)
	}
	for _, e := range logs.All() {
		if line := fmt.Sprint(e.Message, e.ContextMap()); strings.Contains(line, "hush") || strings.Contains(line, "apple") {
			t.Errorf("the log has a password: %s", line)
		}
	}
}

// TestAnOpenNodeSaysSo: what others can reach and everybody may use is told, once for each listener.
func TestAnOpenNodeSaysSo(t *testing.T) {
	_, logs := startObserved(t, "mqtt.tcp.listen=0.0.0.0:0", "mqtt.ws.listen=127.0.0.1:0", "auth.methods=anonymous")
	if l := logs.FilterMessageSnippet("everybody who reaches").All(); len(l) != 1 || !strings.Contains(l[0].Message, "mqtt.tcp.listen") {
		t.Errorf("told %v", l)
	}
}

// TestABrokenPasswordFileIsRefused at the start, with its name and line; sluice check finds it, too.
func TestABrokenPasswordFileIsRefused(t *testing.T) {
	file := filepath.Join(t.TempDir(), "passwords")
	for content, want := range map[string]string{"ada:apple\n": "line 1", "": ""} {
		if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		cfg := alone(t, "auth.methods=password", "auth.password_file="+file)
		err := CheckAuth(cfg)
		if (err != nil) != (want != "") || err != nil && (!strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), "auth.password_file") || strings.Contains(err.Error(), "apple")) {
			t.Errorf("%q: %v, want %q", content, err, want)
		}
		if want == "" {
			continue
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		if _, err := Start(ctx, cfg, zap.NewNop()); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("starting: %v, want %q", err, want)
		}
	}
	if err := CheckAuth(alone(t, "auth.methods=password", "auth.password_file="+file+".none")); err == nil || !strings.Contains(err.Error(), "auth.password_file") {
		t.Errorf("without the file: %v", err)
	}
}

// TestEveryMethodCanBeBuilt: what the configuration knows, a node has.
func TestEveryMethodCanBeBuilt(t *testing.T) {
	for _, m := range []string{config.AuthAnonymous, config.AuthCertificate, config.AuthPassword, config.AuthJWT, config.AuthHTTP} {
		if authBuilders[m] == nil {
			t.Errorf("nothing builds %s", m)
		}
	}
}
