package gateway

import (
	"context"
	"sync"
	"time"

	"go.uber.org/zap"
)

// logLines bounds the lines of the log, by their kind: what anybody can cause at any rate would fill the disk. What is left out is counted, and the count is
// logged.
type logLines struct {
	log *zap.Logger // without bounds

	mu      sync.Mutex
	windows map[lineKind]*lineWindow
}

// lineKind is what lines are bounded together.
type lineKind struct {
	more string // what is told of those left out
	line string // the text of the lines, where it is told besides
}

// lineWindow is what was logged lately of one kind.
type lineWindow struct {
	begin time.Time
	lines int
	more  uint64
}

func newLogLines(log *zap.Logger) *logLines {
	return &logLines{log: log, windows: map[lineKind]*lineWindow{}}
}

// takes reports whether one more line of a kind may be logged where there are at most so many in a window.
func (l *logLines) takes(now time.Time, kind lineKind, most int) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	w := l.windows[kind]
	if w == nil {
		w = &lineWindow{begin: now}
		l.windows[kind] = w
	}
	if now.Sub(w.begin) >= linesWindow {
		l.tell(kind, w)
		*w = lineWindow{begin: now}
	}
	if w.lines >= most {
		w.more++
		return false
	}
	w.lines++
	return true
}

// tell logs how many were left out. The lock is held.
func (l *logLines) tell(kind lineKind, w *lineWindow) {
	if w.more == 0 {
		return
	}
	fields := []zap.Field{zap.Uint64("count", w.more)}
	if kind.line != "" {
		fields = append(fields, zap.String("line", kind.line))
	}
	l.log.Warn(kind.more, fields...)
}

// look is the periodic part: a count is told also when nothing follows.
func (l *logLines) look(context.Context) (again bool) {
	l.close(time.Now().Add(-linesWindow))
	return false
}

// end tells the last counts.
func (l *logLines) end() { l.close(time.Now()) }

// close ends the windows that began so long ago.
func (l *logLines) close(begun time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for kind, w := range l.windows {
		if !w.begin.After(begun) {
			l.tell(kind, w)
			delete(l.windows, kind)
		}
	}
}
