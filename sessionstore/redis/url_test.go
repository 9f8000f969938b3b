package redis

import (
	"crypto/tls"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	goredis "github.com/redis/go-redis/v9"
)

func TestURLForms(t *testing.T) {
	single := func(raw string) *goredis.Options {
		t.Helper()
		c, err := newClient(raw, nil)
		if err != nil {
			t.Fatalf("%s: %v", raw, err)
		}
		defer func() { _ = c.Close() }()
		return c.(*goredis.Client).Options()
	}
	o := single("redis://user:p%40ss@host:1234/3?dial_timeout=7s&pool_size=9")
	if o.Addr != "host:1234" || o.Username != "user" || o.Password != "p@ss" || o.DB != 3 || o.PoolSize != 9 || o.DialTimeout != 7*time.Second {
		t.Errorf("redis://: %+v", o)
	}
	// Without this, deadlines are ignored and the library repeats behind our back.
	if !o.ContextTimeoutEnabled || o.MaxRetries != 0 {
		t.Errorf("context timeout %v, retries %d", o.ContextTimeoutEnabled, o.MaxRetries)
	}
	if o := single("redis://host"); o.Addr != "host:6379" || o.PoolSize != lanes+spareConns {
		t.Errorf("redis://host: %s, pool %d", o.Addr, o.PoolSize)
	}
	if o := single("rediss://[::1]:7/"); o.Addr != "[::1]:7" || o.TLSConfig == nil {
		t.Errorf("rediss://: %s, TLS %v", o.Addr, o.TLSConfig)
	}

	c, err := newClient("rediss+cluster://user:pw@h1,h2:7001,[::1]:7002?read_timeout=3s", nil)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = c.Close() }()
	cluster := c.(*goredis.ClusterClient).Options()
	if diff := cmp.Diff([]string{"h1:6379", "h2:7001", "[::1]:7002"}, cluster.Addrs); diff != "" {
		t.Error(diff)
	}
	if cluster.Username != "user" || cluster.Password != "pw" || cluster.TLSConfig == nil || cluster.ReadTimeout != 3*time.Second ||
		!cluster.ContextTimeoutEnabled {
		t.Errorf("cluster: %+v", cluster)
	}
}

func TestSentinelURL(t *testing.T) {
	e, err := parseURL("redis+sentinel://user:pw@h1,h2:7/mymaster/2?sentinel_username=su&sentinel_password=sp")
	if err != nil {
		t.Fatal(err)
	}
	o, err := goredis.ParseFailoverURL(e.forLibrary())
	if err != nil {
		t.Fatal(err)
	}
	got := []any{o.SentinelAddrs, o.MasterName, o.DB, o.Username, o.Password, o.SentinelUsername, o.SentinelPassword}
	want := []any{[]string{"h1:26379", "h2:7"}, "mymaster", 2, "user", "pw", "su", "sp"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	c, err := newClient("redis+sentinel://h1/mymaster", nil)
	if err != nil {
		t.Fatal(err)
	}
	_ = c.Close()
}

func TestURLErrorsHelpAndHideThePassword(t *testing.T) {
	for raw, says := range map[string]string{
		"":                                  "no scheme",
		"localhost:6379":                    "no scheme",
		"http://x":                          `unknown scheme "http"`,
		"redis+ring://x":                    `unknown scheme "redis+ring"`,
		"redis://:secret@":                  "names no host",
		"redis://u:secret@h1,h2":            "redis+cluster://",
		"redis+sentinel://u:secret@h":       "master's name",
		"redis://u:secret@h/x":              "database number",
		"redis://u:secret@h/0?typo=1":       "typo",
		"redis://u:secret%zz@h":             "percent-escape",
		"redis+cluster://u:secret@h?a=%zz":  "options cannot be read",
		"redis://u:secret@h:port/":          "port",
		"redis+sentinel://u:secret@h/m/n/o": "invalid URL path",
	} {
		c, err := newClient(raw, nil)
		if err == nil {
			_ = c.Close()
			t.Errorf("%s: accepted", raw)
			continue
		}
		if !strings.Contains(err.Error(), says) || strings.Contains(err.Error(), "secret") {
			t.Errorf("%s: %q, want %q and no password", raw, err, says)
		}
	}
}

func TestTLSNamesEachServer(t *testing.T) {
	e := endpoint{tls: true}
	if c := tlsConfig(e, &tls.Config{ServerName: "first", MinVersion: tls.VersionTLS12}, nil); c.ServerName != "" || c.MinVersion != tls.VersionTLS12 {
		t.Errorf("name %q: every node of a Cluster would have to be called so", c.ServerName)
	}
	own := &tls.Config{ServerName: "mine"}
	if c := tlsConfig(e, &tls.Config{}, own); c.ServerName != "mine" {
		t.Errorf("own configuration is not used: %q", c.ServerName)
	}
	if tlsConfig(endpoint{}, nil, own) != nil {
		t.Error("TLS without rediss://")
	}
}
