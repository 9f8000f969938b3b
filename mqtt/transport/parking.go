package transport

import (
	"net"
	"sync"
)

// Parking keeps plain TCP connections without a goroutine each while their devices say nothing. The zero value is an empty one, which takes nothing
// from the system before it is used. Where the system has no epoll, and for connections with a layer in between that may hold bytes back, it keeps none.
//
// A connection that is parked stays the owner's: it may be written to and closed. But whoever closes it, or wants its reading to end by a deadline, has to call
// Wake after that: the system forgets a closed connection without a word, and deadlines are the reader's.
type Parking struct {
	mu     sync.Mutex
	poll   *poll // nil before the first connection
	closed bool
	// parked has what goes on with each connection, by the number its last Park got. Numbers are never used again, so that what the system still says of an
	// earlier stay, or of a closed connection whose descriptor has another one now, is met by nobody. There are no more than there are connections.
	parked map[uint64]func()
	last   uint64
	task   sync.WaitGroup
}

// Place is where a connection is parked. Its zero value is for one that is not. It is Parking's alone.
type Place struct{ number uint64 }

// Park keeps conn until there is something to read of it, its end included, and then calls resume, once, on a new goroutine. It is true if resume has been or
// will be called: the caller must not read any more. Nobody may be reading.
func (p *Parking) Park(conn net.Conn, at *Place, resume func()) bool {
	tcp, ok := conn.(*net.TCPConn)
	if !ok {
		return false
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed || p.poll == nil && !p.open() {
		return false
	}
	p.last++
	if p.poll.watch(tcp, p.last) != nil {
		return false // it is closed, say: reading tells
	}
	at.number = p.last
	p.parked[p.last] = resume
	return true
}

// open begins to watch. The lock is held.
func (p *Parking) open() bool {
	poll, err := newPoll()
	if err != nil {
		p.closed = true // there is no epoll here
		return false
	}
	p.poll, p.parked = poll, map[uint64]func(){}
	p.task.Go(func() { p.run(poll) })
	return true
}

// run resumes the connections that have something to be read, until poll is closed or fails. Then it resumes all there are.
func (p *Parking) run(poll *poll) {
	for ready := range poll.each {
		p.resume(ready)
	}
	p.mu.Lock()
	p.closed = true
	left := p.parked
	p.parked = nil
	p.mu.Unlock()
	for _, resume := range left {
		go resume()
	}
}

// Wake resumes a connection as if there were something to read, if it is parked.
func (p *Parking) Wake(at *Place) {
	p.mu.Lock()
	number := at.number
	p.mu.Unlock()
	p.resume(number)
}

func (p *Parking) resume(number uint64) {
	p.mu.Lock()
	resume := p.parked[number]
	delete(p.parked, number)
	p.mu.Unlock()
	if resume != nil {
		go resume()
	}
}

// Parked is the number of connections that are parked.
func (p *Parking) Parked() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.parked)
}

// Close resumes what is parked, and keeps nothing any more.
func (p *Parking) Close() {
	p.mu.Lock()
	p.closed = true
	if p.poll != nil {
		p.poll.close()
	}
	p.mu.Unlock()
	p.task.Wait()
}
