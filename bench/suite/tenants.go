package suite

import (
	"encoding/json"
	"net"
	"net/http"
	"strings"
	"time"
)

// tenants is a service that a node asks who a device is (auth.http.url): a user name TENANT/NAME is that principal of that tenant.
type tenants struct {
	url    string
	server *http.Server
	ended  chan struct{}
}

func startTenants() (*tenants, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	t := &tenants{url: "http://" + listener.Addr().String(), server: &http.Server{Handler: http.HandlerFunc(sayTenant), ReadHeaderTimeout: time.Second}, ended: make(chan struct{})}
	go func() {
		defer close(t.ended)
		_ = t.server.Serve(listener) // until it is closed
	}()
	return t, nil
}

func (t *tenants) close() {
	_ = t.server.Close()
	<-t.ended
}

func sayTenant(w http.ResponseWriter, r *http.Request) {
	var asked struct {
		UserName string `json:"user_name"`
	}
	answer := map[string]any{"result": "deny", "reason": "no user name"}
	if json.NewDecoder(r.Body).Decode(&asked) == nil {
		if tenant, name, ok := strings.Cut(asked.UserName, "/"); ok {
			// Connections of a flood are to cost the node, not this service.
			answer = map[string]any{"result": "allow", "tenant": tenant, "principal": name, "cache_seconds": 600}
		}
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(answer)
}
