package gateway

import (
	"maps"
	"net"
	"slices"
	"sync"

	"sluice/sessionstore"
)

// directory knows which connection of this node has which session. Who owns a session among all nodes is the store's word alone.
type directory struct {
	mu       sync.Mutex
	devices  map[sessionstore.Key]*device
	all      map[*device]sessionstore.Key // each connection with the session it is in; zero before CONNECT
	reserved map[net.Conn]struct{}        // connections that still shake hands
}

func newDirectory() *directory {
	return &directory{devices: map[sessionstore.Key]*device{}, all: map[*device]sessionstore.Key{}, reserved: map[net.Conn]struct{}{}}
}

// reserve keeps a place for a connection that still shakes hands. It is false when max places are taken. Either admit or unreserve follows.
func (r *directory) reserve(c net.Conn, max int) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.all)+len(r.reserved) >= max {
		return false
	}
	r.reserved[c] = struct{}{}
	return true
}

func (r *directory) unreserve(c net.Conn) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.reserved, c)
}

// admit notes a connection in the place that was reserved for c.
func (r *directory) admit(c net.Conn, d *device) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.reserved, c)
	r.all[d] = sessionstore.Key{}
}

// handshakes gives the connections that still shake hands.
func (r *directory) handshakes() []net.Conn {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Collect(maps.Keys(r.reserved))
}

// enter puts d in the place of the session's connection and gives the one it displaces.
func (r *directory) enter(key sessionstore.Key, d *device) (displaced *device) {
	r.mu.Lock()
	defer r.mu.Unlock()
	displaced = r.devices[key]
	r.devices[key] = d
	r.all[d] = key
	return displaced
}

// servedBy reports whether a connection other than this one is in the session, or about to be.
func (r *directory) servedBy(key sessionstore.Key, except *device) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	d := r.devices[key]
	return d != nil && d != except
}

// leave forgets a connection; another one that took its place stays.
func (r *directory) leave(d *device) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if key := r.all[d]; r.devices[key] == d {
		delete(r.devices, key)
	}
	delete(r.all, d)
}

// lost passes on the store's word that another connection owns a session.
func (r *directory) lost(key sessionstore.Key, epoch uint64) {
	r.mu.Lock()
	d := r.devices[key]
	r.mu.Unlock()
	if d != nil {
		d.lost(epoch)
	}
}

// connections gives all connections.
func (r *directory) connections() []*device {
	r.mu.Lock()
	defer r.mu.Unlock()
	out := make([]*device, 0, len(r.all))
	for d := range r.all {
		out = append(out, d)
	}
	return out
}
