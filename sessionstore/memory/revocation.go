package memory

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"sluice/sessionstore"
)

// PutRevocation: see sessionstore.Store.
func (s *Store) PutRevocation(ctx context.Context, r sessionstore.Revocation) error {
	if err := r.Validate(); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.usable(ctx); err != nil {
		return err
	}
	if len(s.revoked) >= sessionstore.MaxRevocations {
		s.dropRevocations()
	}
	if _, replaces := s.revoked[r.ID]; !replaces && len(s.revoked) >= sessionstore.MaxRevocations {
		return fmt.Errorf("%w: there are %d revocations, the most there may be", sessionstore.ErrFull, len(s.revoked))
	}
	r.At, r.Until = r.At.UTC().Truncate(time.Millisecond), r.Until.UTC().Truncate(time.Millisecond)
	s.epoch++
	s.revoked[r.ID], s.revokedVersion = r, s.epoch
	return nil
}

// RemoveRevocation: see sessionstore.Store.
func (s *Store) RemoveRevocation(ctx context.Context, id string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.usable(ctx); err != nil {
		return err
	}
	delete(s.revoked, id)
	s.epoch++
	s.revokedVersion = s.epoch
	return nil
}

// Revocations: see sessionstore.Store.
func (s *Store) Revocations(ctx context.Context, known uint64) (list []sessionstore.Revocation, version uint64, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.usable(ctx); err != nil {
		return nil, 0, err
	}
	if known == s.revokedVersion {
		return nil, known, nil
	}
	s.dropRevocations()
	list = slices.SortedFunc(maps.Values(s.revoked), func(a, b sessionstore.Revocation) int { return cmp.Compare(a.ID, b.ID) })
	return list, s.revokedVersion, nil
}

// dropRevocations removes those that are over.
func (s *Store) dropRevocations() {
	now := s.now()
	maps.DeleteFunc(s.revoked, func(_ string, r sessionstore.Revocation) bool { return r.Over(now) })
}
