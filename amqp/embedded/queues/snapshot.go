package queues

import (
	"maps"
	"sort"
)

// QueueInfo describes a queue at one moment.
type QueueInfo struct {
	Name                           string
	Kind                           string // x-queue-type
	Durable, Exclusive, AutoDelete bool
	Arguments                      map[string]any
	Ready                          int   // messages that wait
	Unsettled                      int   // messages that consumers hold
	Bytes                          int64 // of the ready messages
	Consumers                      int
}

// Snapshot describes the store at one moment.
type Snapshot struct {
	Queues    []QueueInfo // sorted by name
	Exchanges int         // the predeclared ones included
	Bindings  int
	Bytes     int64 // what counts against Limits.MaxBytes
	Full      bool
}

// Queue finds a queue's description by name.
func (s Snapshot) Queue(name string) (QueueInfo, bool) {
	i := sort.Search(len(s.Queues), func(i int) bool { return s.Queues[i].Name >= name })
	if i < len(s.Queues) && s.Queues[i].Name == name {
		return s.Queues[i], true
	}
	return QueueInfo{}, false
}

// Snapshot describes the store.
func (s *Store) Snapshot() Snapshot {
	s.mu.Lock()
	defer s.mu.Unlock()
	snap := Snapshot{Exchanges: len(s.exchanges), Bindings: s.bindings, Bytes: s.bytes, Full: s.full}
	for _, q := range s.queues {
		snap.Queues = append(snap.Queues, q.info())
	}
	sort.Slice(snap.Queues, func(i, j int) bool { return snap.Queues[i].Name < snap.Queues[j].Name })
	return snap
}

// Info describes one queue to a connection.
func (s *Store) Info(owner uint64, name string) (QueueInfo, *Error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	q, err := s.find(owner, name)
	if err != nil {
		return QueueInfo{}, err
	}
	return q.info(), nil
}

func (q *queue) info() QueueInfo {
	return QueueInfo{
		Name: q.name, Kind: q.set.kind, Durable: q.spec.Durable, Exclusive: q.spec.Exclusive, AutoDelete: q.spec.AutoDelete,
		Arguments: maps.Clone(q.spec.Arguments), Ready: q.ready.len(), Unsettled: q.held, Bytes: q.ready.bytes, Consumers: len(q.consumers),
	}
}
