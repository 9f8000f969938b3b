package gateway

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"time"

	"go.uber.org/zap"

	"sluice/gateway/access"
	"sluice/sessionstore"
)

// revocationDocument is a revocation as the administration port has it.
type revocationDocument struct {
	ID         string     `json:"id,omitempty"`
	Tenant     string     `json:"tenant,omitempty"`
	Principal  string     `json:"principal,omitempty"`
	ClientID   string     `json:"client_id,omitempty"`
	Credential string     `json:"credential,omitempty"`
	Reason     string     `json:"reason,omitempty"`
	At         *time.Time `json:"at,omitempty"`
	Until      *time.Time `json:"until,omitempty"`
}

func documentOf(r sessionstore.Revocation) revocationDocument {
	return revocationDocument{r.ID, r.Tenant, r.Principal, r.ClientID, r.Credential, r.Reason, &r.At, &r.Until}
}

// revocation makes a revocation of what an administrator has sent.
func (d revocationDocument) revocation(now time.Time) (r sessionstore.Revocation, err error) {
	switch {
	case d.ID != "":
		return r, errors.New("id: is given by the server; leave it out")
	case d.At != nil && d.At.After(now):
		return r, errors.New("at: is in the future; credentials that are made later would be refused as well")
	}
	r = sessionstore.Revocation{
		ID: rand.Text(), Tenant: d.Tenant, Principal: d.Principal, ClientID: d.ClientID, Credential: d.Credential, Reason: d.Reason,
		At: now, Until: now.Add(revocationDefault),
	}
	if r.Tenant == "" && r.Credential == "" {
		r.Tenant = access.DefaultTenant
	}
	if d.At != nil {
		r.At = *d.At
	}
	if d.Until != nil {
		r.Until = *d.Until
	}
	if r.Over(now) || r.Until.Sub(now) > revocationMax {
		return r, fmt.Errorf("until: %s is not between now and ten years from now", r.Until.Format(time.RFC3339))
	}
	r.At, r.Until = r.At.UTC().Truncate(time.Millisecond), r.Until.UTC().Truncate(time.Millisecond)
	return r, r.Validate()
}

// listRevocations answers GET /api/v1/revocations.
func (gw *Gateway) listRevocations(w http.ResponseWriter, r *http.Request) {
	ctx, cancel := context.WithTimeout(r.Context(), upkeepWait)
	defer cancel()
	list, _, err := gw.opt.Store.Revocations(ctx, 0)
	if err != nil {
		gw.storeFailed(w, err)
		return
	}
	now, out := time.Now(), []revocationDocument{}
	for _, r := range list {
		if !r.Over(now) {
			out = append(out, documentOf(r))
		}
	}
	answerJSON(w, http.StatusOK, map[string]any{"revocations": out})
}

// addRevocation answers POST /api/v1/revocations. The answer comes when it is stored; the other nodes know it a second later.
func (gw *Gateway) addRevocation(w http.ResponseWriter, r *http.Request) {
	var d revocationDocument
	in := json.NewDecoder(http.MaxBytesReader(w, r.Body, adminBodyMax))
	in.DisallowUnknownFields()
	if err := in.Decode(&d); err != nil {
		answer(w, http.StatusBadRequest, "this is no revocation in JSON: "+err.Error())
		return
	}
	rev, err := d.revocation(time.Now())
	if err != nil {
		answer(w, http.StatusBadRequest, err.Error())
		return
	}
	ctx, cancel := context.WithTimeout(r.Context(), claimWait)
	defer cancel()
	if err := gw.opt.Store.PutRevocation(ctx, rev); err != nil {
		gw.storeFailed(w, err)
		return
	}
	gw.revocations.kick()
	gw.log.Info("revoked", zap.String("revocation", rev.ID), zap.String("tenant", rev.Tenant), zap.String("principal", rev.Principal), zap.String("client", rev.ClientID),
		zap.String("credential", rev.Credential), zap.String("reason", rev.Reason), zap.Time("until", rev.Until), zap.String("remote", r.RemoteAddr))
	answerJSON(w, http.StatusCreated, documentOf(rev))
}

// removeRevocation answers DELETE /api/v1/revocations/{id}.
func (gw *Gateway) removeRevocation(w http.ResponseWriter, r *http.Request) {
	ctx, cancel := context.WithTimeout(r.Context(), claimWait)
	defer cancel()
	id := r.PathValue("id")
	if err := gw.opt.Store.RemoveRevocation(ctx, id); err != nil {
		gw.storeFailed(w, err)
		return
	}
	gw.revocations.kick()
	gw.log.Info("a revocation was removed", zap.String("revocation", id), zap.String("remote", r.RemoteAddr))
	w.WriteHeader(http.StatusNoContent)
}

// clientDocument is the binding of a client identifier as the administration port has it.
type clientDocument struct {
	Tenant    string `json:"tenant"`
	ClientID  string `json:"client_id"`
	Principal string `json:"principal"`
	Assigned  bool   `json:"assigned"`
}

// clientAsked is the client identifier that a request is about.
func clientAsked(r *http.Request) (tenant, id string, err error) {
	q := r.URL.Query()
	for name := range q {
		if name != "tenant" && name != "client_id" {
			return "", "", fmt.Errorf("%s: unknown parameter; there are client_id and tenant", name)
		}
	}
	tenant, id = q.Get("tenant"), q.Get("client_id")
	if tenant == "" {
		tenant = access.DefaultTenant
	}
	if id == "" {
		return "", "", errors.New("client_id: is missing")
	}
	return tenant, id, nil
}

// showClient answers GET /api/v1/clients: to whom a client identifier is bound.
func (gw *Gateway) showClient(w http.ResponseWriter, r *http.Request) {
	gw.ofClient(w, r, func(ctx context.Context, tenant, id string) error {
		b, err := gw.opt.Store.BoundTo(ctx, tenant, id)
		if err == nil {
			answerJSON(w, http.StatusOK, clientDocument(b))
		}
		return err
	})
}

// freeClient answers DELETE /api/v1/clients: it removes the binding. A connection that uses the client identifier goes on, and binds it again unless somebody else has.
func (gw *Gateway) freeClient(w http.ResponseWriter, r *http.Request) {
	gw.ofClient(w, r, func(ctx context.Context, tenant, id string) error {
		err := gw.opt.Store.Unbind(ctx, tenant, id)
		if err == nil {
			gw.log.Info("a client identifier was freed", zap.String("tenant", tenant), zap.String("client", id), zap.String("remote", r.RemoteAddr))
			w.WriteHeader(http.StatusNoContent)
		}
		return err
	})
}

func (gw *Gateway) ofClient(w http.ResponseWriter, r *http.Request, do func(ctx context.Context, tenant, id string) error) {
	tenant, id, err := clientAsked(r)
	if err != nil {
		answer(w, http.StatusBadRequest, err.Error())
		return
	}
	ctx, cancel := context.WithTimeout(r.Context(), claimWait)
	defer cancel()
	switch err := do(ctx, tenant, id); {
	case errors.Is(err, sessionstore.ErrNotFound):
		answer(w, http.StatusNotFound, fmt.Sprintf("the client identifier %q of tenant %q is bound to nobody", id, tenant))
	case err != nil:
		gw.storeFailed(w, err)
	}
}

// storeFailed answers what the store cannot do. Whether it was done may not be known: every request may be repeated.
func (gw *Gateway) storeFailed(w http.ResponseWriter, err error) {
	status := http.StatusServiceUnavailable
	switch {
	case errors.Is(err, sessionstore.ErrInvalid):
		status = http.StatusBadRequest
	case errors.Is(err, sessionstore.ErrFull):
		status = http.StatusInsufficientStorage
	}
	answer(w, status, err.Error())
}

func answerJSON(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(v)
}
