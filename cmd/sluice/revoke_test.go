package main

import (
	"bytes"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
)

// What revoke and client print, and that a name written wrong is no success.
func TestRevokeRemove(t *testing.T) {
	var asked []string
	node := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked = append(asked, r.Method+" "+r.URL.Path)
		switch {
		case r.Method == http.MethodGet && r.URL.Path == "/api/v1/revocations":
			_, _ = w.Write([]byte(`{"revocations":[{"id":"ABC","tenant":"hall","principal":"press","reason":"stolen","at":"2026-11-22T10:54:34Z","until":"2026-12-22T10:54:34Z"}]}`))
		case r.Method == http.MethodDelete:
			w.WriteHeader(http.StatusNoContent)
		default:
			http.Error(w, `the client identifier "x" of tenant "default" is bound to nobody`, http.StatusNotFound)
		}
	}))
	defer node.Close()
	for _, c := range []struct{ line, out, err, asked string }{
		{line: "revoke list", out: `ABC  principal "press" of tenant "hall"  of 2026-11-22T10:54:34Z  until 2026-12-22T10:54:34Z  "stolen"` + "\n", asked: "GET /api/v1/revocations"},
		{line: "revoke remove ABC", out: "ABC\tremoved\n", asked: "DELETE /api/v1/revocations/ABC"},
		{line: "revoke remove ABD", err: `there is no revocation "ABD"; sluice revoke list lists them`, asked: "GET /api/v1/revocations"},
		{line: "client free x", out: "x\tfreed\n", asked: "DELETE /api/v1/clients"},
		{line: "client show x", err: `the client identifier "x" of tenant "default" is bound to nobody`, asked: "GET /api/v1/clients"},
	} {
		t.Run(c.line, func(t *testing.T) {
			asked = nil
			var out bytes.Buffer
			cmd := root()
			cmd.SetOut(&out)
			cmd.SetErr(&out)
			cmd.SetArgs(append(strings.Fields(c.line), "--admin", node.URL))
			said := ""
			if err := cmd.ExecuteContext(t.Context()); err != nil {
				said = err.Error()
			}
			if said != c.err || out.String() != c.out {
				t.Errorf("it printed %q, error %q", out.String(), said)
			}
			if len(asked) == 0 || asked[len(asked)-1] != c.asked || slices.ContainsFunc(asked[:len(asked)-1], func(a string) bool { return !strings.HasPrefix(a, "GET ") }) {
				t.Errorf("the node was asked %q", asked)
			}
		})
	}
	cmd := root()
	cmd.SetArgs([]string{"revoke", "list", "--admin", "nohost:1"})
	if err := cmd.ExecuteContext(t.Context()); err == nil || err.Error() != `--admin "nohost:1": write it like http://host:8080 or https://host:8080` {
		t.Error(err)
	}
}
