package token

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"sluice/gateway/reload"
)

// local are the keys of a file. One goroutine at a time looks at it.
type local struct {
	file reload.Source[[]key]
	keys atomic.Pointer[[]key]
}

func openLocal(setting, name string, parse func([]byte) ([]key, error)) (*local, error) {
	l := &local{file: reload.Source[[]key]{Name: setting, Files: []string{name}, Read: func(time.Time) ([]key, error) {
		content, err := reload.ReadFile(setting, name, fileMax)
		if err != nil {
			return nil, err
		}
		keys, err := parse(content)
		if err != nil {
			return nil, fmt.Errorf("%s: %q: %w", setting, name, err)
		}
		return marked(keys), nil
	}}}
	if err := l.file.Open(time.Now()); err != nil {
		return nil, err
	}
	keys := l.file.Value
	l.keys.Store(&keys)
	return l, nil
}

// look reads the file again when it has changed, and then calls changed.
func (l *local) look(log *zap.Logger, changed func()) {
	switch news, err := l.file.Look(time.Now()); {
	case !news:
	case err != nil:
		log.Error("a file with keys of tokens that has changed cannot be used; what was there before stays in use", zap.Error(err))
	default:
		keys := l.file.Value
		l.keys.Store(&keys)
		log.Info("a file with keys of tokens has changed and is in use", zap.String("key", l.file.Name))
		changed()
	}
}

func (a *Authenticator) watch(ctx context.Context, changed func()) {
	tick := time.NewTicker(reload.Pause)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			for _, l := range a.local {
				l.look(a.opt.Logger, changed)
			}
		}
	}
}
