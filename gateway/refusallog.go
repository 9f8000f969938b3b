package gateway

import (
	"context"
	"sync"
	"time"

	"go.uber.org/zap"

	"sluice/mapping/failure"
)

// refusalLog bounds the lines about refused messages of QoS 0. No acknowledgement paces those: a device could fill the disk. What is left out is counted,
// and the count is logged.
type refusalLog struct {
	gw *Gateway

	mu    sync.Mutex
	begin time.Time // of the window
	lines int
	more  uint64
}

// takes reports whether the failure gets a line of its own.
func (l *refusalLog) takes(now time.Time, o *failure.Occurrence) bool {
	if o.Failure.About != failure.Publish || o.QoS > 0 {
		return true
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if now.Sub(l.begin) >= refusalWindow {
		l.close()
		l.begin, l.lines = now, 0
	}
	if l.lines >= refusalLines {
		l.more++
		return false
	}
	l.lines++
	return true
}

// close logs how many were left out. The lock is held.
func (l *refusalLog) close() {
	if l.more > 0 {
		l.gw.log.Warn("more messages of QoS 0 were refused or dropped than are logged one by one", zap.Uint64("count", l.more))
	}
	l.more = 0
}

// look is the periodic part: a count is told also when nothing follows.
func (l *refusalLog) look(context.Context) (again bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if time.Since(l.begin) >= refusalWindow {
		l.close()
	}
	return false
}

// end tells the last count.
func (l *refusalLog) end() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.close()
}
