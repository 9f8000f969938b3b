package redis

import (
	"context"
	"crypto/sha1"
	"encoding/hex"
	"errors"
	"fmt"
	"net/url"
	"strconv"
	"strings"

	"sluice/sessionstore"
)

// bindTries bounds how often a Bind goes on after what it found in its way was over: each time somebody else has bound the credential meanwhile.
const bindTries = 8

// clientKey is the binding of a client identifier. All bindings of a tenant share a hash tag, since one step looks at a client identifier and a
// credential.
func (s *Store) clientKey(tenant, clientID string) string {
	return s.bindingsOf(tenant) + "id:" + url.PathEscape(clientID)
}

func (s *Store) credentialKey(tenant, principal, credential string) string {
	return s.bindingsOf(tenant) + "credential:" + url.PathEscape(principal) + "/" + url.PathEscape(credential)
}

// ownedKey is the index of the client identifiers of a principal that are bounded in number.
func (s *Store) ownedKey(tenant, principal string) string {
	return s.bindingsOf(tenant) + "of:" + url.PathEscape(principal)
}

// indexed is a client identifier in that index, which may be long.
func indexed(clientID string) string {
	sum := sha1.Sum([]byte(clientID))
	return hex.EncodeToString(sum[:])
}

func (s *Store) bindingsOf(tenant string) string {
	return s.prefix + "{clients:" + url.PathEscape(tenant) + "}:"
}

// bindingStep makes a step about a client identifier, whose steps keep their order.
func (s *Store) bindingStep(sc *script, tenant, clientID string, keys []string, args ...any) *step {
	st := &step{
		key: sessionstore.Key{Tenant: tenant, ClientID: "client " + clientID}, script: sc, confirm: true, numbered: true,
		args: args, size: 2 * len(clientID),
	}
	st.keys = append(keys, s.sentKey(s.laneOf(st.key), keys[0]))
	return st
}

// Bind: see sessionstore.Store. The one step looks at the credential and the client identifier asked for. What else the credential may be bound to has
// another key: it is looked at here, and given up by a step that does so only if the credential is still bound to that.
func (s *Store) Bind(ctx context.Context, req sessionstore.BindRequest) (*sessionstore.Binding, error) {
	if err := req.Validate(); err != nil {
		return nil, err
	}
	givesUp, givenUp := "", req.ClientID
	for range bindTries {
		answer, text, err := s.bind(ctx, req, givesUp, givenUp)
		switch {
		case err != nil:
			return nil, err
		case answer == 1:
			return nil, nil
		case answer == 3:
			return nil, fmt.Errorf("%w: it may have %d", sessionstore.ErrPrincipalFull, req.Most)
		case answer <= 0:
			return &sessionstore.Binding{Tenant: req.Tenant, ClientID: req.ClientID, Principal: text, Assigned: answer < 0}, nil
		}
		generation, other, _ := strings.Cut(text, " ")
		found, now, err := s.boundTo(ctx, req.Tenant, other)
		switch {
		case err != nil && !errors.Is(err, sessionstore.ErrNotFound):
			return nil, err
		case err == nil && found.Principal == req.Principal && now == generation && other != req.Instead:
			return &found, nil
		}
		givesUp, givenUp = text, other
	}
	return nil, unavailable(errBusy)
}

var errBusy = errors.New("the credential is bound anew again and again")

func (s *Store) bind(ctx context.Context, req sessionstore.BindRequest, givesUp, givenUp string) (answer int64, text string, err error) {
	keys := []string{
		s.clientKey(req.Tenant, req.ClientID), s.credentialKey(req.Tenant, req.Principal, req.Credential), s.clientKey(req.Tenant, givenUp),
		s.ownedKey(req.Tenant, req.Principal),
	}
	st := s.bindingStep(bindScript, req.Tenant, req.ClientID, keys, req.Principal, req.ClientID, boolArg(req.Assigned), max(1, req.Keep.Milliseconds()),
		boolArg(req.One), max(1, req.KeepOfCredential().Milliseconds()), givesUp, req.Most, indexed(req.ClientID))
	st.size += 2*len(req.Principal) + len(req.Credential) + 2*len(givenUp)
	reply, err := s.do(ctx, s.laneOf(st.key), st)
	if err != nil {
		return 0, "", err
	}
	if answer, text, err = decodePair(reply); err != nil {
		return 0, "", unavailable(fmt.Errorf("%w: answer to a binding", errRecord))
	}
	return answer, text, nil
}

// BoundTo: see sessionstore.Store.
func (s *Store) BoundTo(ctx context.Context, tenant, clientID string) (sessionstore.Binding, error) {
	b, _, err := s.boundTo(ctx, tenant, clientID)
	return b, err
}

func (s *Store) boundTo(ctx context.Context, tenant, clientID string) (b sessionstore.Binding, generation string, err error) {
	st := &step{
		key: sessionstore.Key{Tenant: tenant, ClientID: "client " + clientID}, size: len(clientID),
		cmd: []any{"HMGET", s.clientKey(tenant, clientID), "v", "principal", "assigned", "generation"},
	}
	reply, err := s.do(ctx, s.laneOf(st.key), st)
	if err != nil {
		return b, "", err
	}
	values, _ := reply.([]any)
	if len(values) != 4 {
		return b, "", unavailable(fmt.Errorf("%w: a binding", errRecord))
	}
	text := func(i int) string { v, _ := values[i].(string); return v }
	switch text(0) {
	case "":
		return b, "", sessionstore.ErrNotFound
	case strconv.Itoa(recordVersion):
		return sessionstore.Binding{Tenant: tenant, ClientID: clientID, Principal: text(1), Assigned: text(2) == "1"}, text(3), nil
	}
	return b, "", unavailable(fmt.Errorf("%w: a binding of version %s", errRecord, text(0)))
}

// Unbind: see sessionstore.Store. Whose it is, is read before: should it be another's by then, the index of the first has it until its time is over.
func (s *Store) Unbind(ctx context.Context, tenant, clientID string) error {
	b, err := s.BoundTo(ctx, tenant, clientID)
	if err != nil && !errors.Is(err, sessionstore.ErrNotFound) {
		return err
	}
	st := s.bindingStep(unbindScript, tenant, clientID, []string{s.clientKey(tenant, clientID), s.ownedKey(tenant, b.Principal)}, indexed(clientID))
	n, err := s.number(ctx, st)
	if err == nil && n == 0 && !st.doubtful { // or an attempt whose answer was lost removed it
		return sessionstore.ErrNotFound
	}
	return err
}
