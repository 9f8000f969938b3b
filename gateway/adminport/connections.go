package adminport

import (
	"crypto/tls"
	"net"
	"net/http"
	"sync"

	"github.com/prometheus/client_golang/prometheus"
)

// Connections bounds the connections of the port. Track is http.Server.ConnState.
//
// To refuse whoever comes next would let those who hold connections and ask nothing keep out the one who looks whether the node lives. So the connection that has been
// without a request for longest makes room; only where all are in the middle of a request, the new one goes.
type Connections struct {
	most    int
	refused *prometheus.CounterVec

	mu      sync.Mutex
	changes uint64
	open    map[net.Conn]connection
}

// connection is what one does at present.
type connection struct {
	since uint64 // of the changes
	asks  bool   // it is in the middle of a request
}

// NewConnections bounds them to most.
func NewConnections(most int, refused *prometheus.CounterVec) *Connections {
	return &Connections{most: most, refused: refused, open: map[net.Conn]connection{}}
}

// Track follows the state of a connection, and closes one when there are too many.
func (c *Connections) Track(conn net.Conn, state http.ConnState) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.changes++
	switch state {
	case http.StateClosed, http.StateHijacked:
		delete(c.open, conn)
		return
	case http.StateNew:
		if len(c.open) >= c.most {
			c.refused.WithLabelValues(tooMany).Inc()
			gone := c.oldest()
			if gone == nil {
				end(conn)
				return
			}
			delete(c.open, gone)
			end(gone)
		}
	default:
		if _, counted := c.open[conn]; !counted {
			return // it is being closed
		}
	}
	c.open[conn] = connection{since: c.changes, asks: state == http.StateActive}
}

// oldest gives the connection that has been without a request for longest; nil: there is none.
func (c *Connections) oldest() (found net.Conn) {
	for conn, is := range c.open {
		if !is.asks && (found == nil || is.since < c.open[found].since) {
			found = conn
		}
	}
	return found
}

// end closes a connection without a word, which might have to wait for the other side.
func end(conn net.Conn) {
	if t, ok := conn.(*tls.Conn); ok {
		conn = t.NetConn()
	}
	_ = conn.Close()
}
