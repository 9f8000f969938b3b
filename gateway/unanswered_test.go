package gateway

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"sluice/gateway/access"
	"sluice/mqtt/packet"
	"sluice/sessionstore"
)

// mute is a store whose claims are made, and not answered.
type mute struct {
	sessionstore.Store
	silent bool
}

func (m *mute) Claim(ctx context.Context, req sessionstore.ClaimRequest) (sessionstore.Claimed, error) {
	answer, err := m.Store.Claim(ctx, req)
	if err == nil && m.silent {
		return sessionstore.Claimed{}, sessionstore.ErrUnavailable
	}
	return answer, err
}

// A device that was refused because the store did not answer must not leave a session that nobody serves and that never expires.
func TestAClaimWithoutAnAnswerLeavesNoOwner(t *testing.T) {
	inBubble(t, func(b *bubble) {
		store := &mute{Store: b.store, silent: true}
		n := b.start("n", store)
		key := sessionstore.Key{Tenant: access.DefaultTenant, Principal: access.AnonymousName, ClientID: "d"}
		if _, connack := n.connect("d", packet.V5); connack.Reason != packet.ServerUnavailable {
			b.t.Fatalf("CONNACK %v", connack.Reason)
		}
		synctest.Wait()
		if s, err := b.store.Get(b.t.Context(), key, time.Now()); err != nil || s.Owner != "n" {
			b.t.Fatalf("the claim was not made: %+v, %v", s, err)
		}
		time.Sleep(unansweredPause + time.Second)
		if s, err := b.store.Get(b.t.Context(), key, time.Now()); err != nil || s.Owner != "" {
			b.t.Errorf("the session still has an owner: %+v, %v", s, err)
		}
		time.Sleep(time.Minute)

		// A device that came back meanwhile keeps its session.
		n.connect("d", packet.V5)
		store.silent = false
		back, _ := n.connect("d", packet.V5)
		time.Sleep(time.Minute)
		if s, err := b.store.Get(b.t.Context(), key, time.Now()); err != nil || s.Owner != "n" {
			b.t.Errorf("the session of the device that is back: %+v, %v", s, err)
		}
		back.Disconnect()
	})
}
