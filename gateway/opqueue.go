package gateway

import "sync"

// opQueue runs operations that take time one after the other, in order, on a goroutine that lives only while there are some. Its length is
// bounded by the machine, which allows a device few requests at a time.
type opQueue struct {
	mu      sync.Mutex
	ops     []func()
	running bool
	idle    chan struct{} // closed when the last one is done; nil while idle
}

// add queues op.
func (q *opQueue) add(op func()) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.ops = append(q.ops, op)
	if q.running {
		return
	}
	q.running = true
	q.idle = make(chan struct{})
	go q.run()
}

func (q *opQueue) run() {
	for {
		q.mu.Lock()
		if len(q.ops) == 0 {
			q.running = false
			close(q.idle)
			q.mu.Unlock()
			return
		}
		op := q.ops[0]
		q.ops = q.ops[1:]
		q.mu.Unlock()
		op()
	}
}

// wait returns when all queued operations are done, and whether there were any.
func (q *opQueue) wait() (busy bool) {
	q.mu.Lock()
	idle := q.idle
	running := q.running
	q.mu.Unlock()
	if running {
		<-idle
	}
	return running
}
