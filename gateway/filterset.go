package gateway

import "sync"

// filterSet is the set of filters a device has on the node lane. It is bounded by the session's subscriptions.
type filterSet struct {
	mu      sync.Mutex
	filters map[string]struct{}
}

func (s *filterSet) add(filters []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.filters == nil {
		s.filters = map[string]struct{}{}
	}
	for _, f := range filters {
		s.filters[f] = struct{}{}
	}
}

func (s *filterSet) remove(filters []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, f := range filters {
		delete(s.filters, f)
	}
}

func (s *filterSet) list() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := make([]string, 0, len(s.filters))
	for f := range s.filters {
		out = append(out, f)
	}
	return out
}
