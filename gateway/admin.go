package gateway

import (
	"context"
	"encoding/json"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// readyWait bounds the question to bus and store behind /readyz.
const readyWait = 2 * time.Second

// AdminHandler serves /healthz (the process lives), /readyz (bus and store can be reached, and the node is not stopping: else 503 with the
// cause), /metrics (Prometheus), /capabilities (what the devices of each listener are offered), /api/v1/explain (what the mapping rules make of a
// message), /api/v1/revocations and /api/v1/clients (docs/admin.md). Who may ask is not known here (gateway/adminport).
func (gw *Gateway) AdminHandler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { answer(w, http.StatusOK, "ok") })
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, r *http.Request) {
		ctx, cancel := context.WithTimeout(r.Context(), readyWait)
		defer cancel()
		if err := gw.Ready(ctx); err != nil {
			answer(w, http.StatusServiceUnavailable, err.Error())
			return
		}
		answer(w, http.StatusOK, "ready")
	})
	mux.Handle("GET /metrics", promhttp.HandlerFor(gw.opt.Registry, promhttp.HandlerOpts{}))
	mux.HandleFunc("GET /capabilities", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(gw.capabilities())
	})
	mux.HandleFunc("GET /api/v1/explain", gw.explain)
	mux.HandleFunc("GET /api/v1/revocations", gw.listRevocations)
	mux.HandleFunc("POST /api/v1/revocations", gw.addRevocation)
	mux.HandleFunc("DELETE /api/v1/revocations/{id}", gw.removeRevocation)
	mux.HandleFunc("GET /api/v1/clients", gw.showClient)
	mux.HandleFunc("DELETE /api/v1/clients", gw.freeClient)
	return mux
}

func answer(w http.ResponseWriter, status int, text string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.WriteHeader(status)
	_, _ = w.Write([]byte(text + "\n"))
}
