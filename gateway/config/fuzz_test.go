package config

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// FuzzLoad: whatever a file, a variable and a flag say, there is a configuration, or an error that names what is wrong; and what is said is never shown
// where it may be a password.
func FuzzLoad(f *testing.F) {
	const secret = "hunter2-in-a-url"
	for _, seed := range []struct{ file, env, set string }{
		{"", "", ""},
		{"mqtt:\n  tcp:\n    listen: 127.0.0.1:1883\nbus.grace: 30s\n", "SLUICE_BUS_GRACE=1m", "limits.connections=10"},
		{"rules:\n  - name: a\n    topic: a/{b}/#\n    direction: up\n    exchange: x\n    key: \"{b}\"\n    on_error: quarantine\n", "SLUICE_RULES=x", "rules=y"},
		{"rules: [{topic: a, properties: {a: b}, ttl: 1s, qos: [0, 1]}]", "SLUICE_BUS_URL=amqp://u:" + secret + "@h", "bus.url=amqp://u:" + secret + "@h:x"},
		{"a: &a [*a]\n", "SLUICE_NODE_ID=\x00", "=;"},
		{"? {a: b}\n: c\n---\nd\n", "SLUICE_MQTT_TCP_LISTEN=:99999", "bus.kind=servicebus"},
	} {
		f.Add([]byte(seed.file), seed.env, seed.set)
	}
	f.Fuzz(func(t *testing.T, content []byte, env, set string) {
		file := filepath.Join(t.TempDir(), "sluice.yaml")
		if err := os.WriteFile(file, content, 0o600); err != nil {
			t.Fatal(err)
		}
		c, warnings, err := Load(Source{File: file, Env: []string{env}, Set: []string{set}})
		if (c == nil) != (err != nil) {
			t.Fatalf("a configuration: %t, an error: %v", c != nil, err)
		}
		if err != nil && strings.TrimSpace(err.Error()) == "" {
			t.Error("an error that says nothing")
		}
		if err == nil && c.NodeID == "" {
			t.Error("a node without a name")
		}
		for _, w := range warnings {
			if w == "" {
				t.Error("a warning that says nothing")
			}
		}
	})
}
