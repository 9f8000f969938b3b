package quota

import (
	"context"
	"fmt"
	"time"

	"sluice/gateway/reload"
)

// File is a file of exceptions that is watched.
type File struct{ source reload.Source[*Exceptions] }

// OpenFile reads a file of exceptions. The error names all that is wrong in it.
func OpenFile(name string) (*File, *Exceptions, error) {
	f := &File{reload.Source[*Exceptions]{Name: "quota.file", Files: []string{name}, Read: func(time.Time) (*Exceptions, error) {
		b, err := reload.ReadFile("quota.file", name, fileMax)
		if err != nil {
			return nil, err
		}
		e, err := parse(b)
		if err != nil {
			return nil, fmt.Errorf("quota.file: %q: %w", name, err)
		}
		return e, nil
	}}}
	err := f.source.Open(time.Now())
	return f, f.source.Value, err
}

// Watch calls changed with what the file says whenever it has changed, until ctx ends. An error goes to failed, once; what the file said before holds.
func (f *File) Watch(ctx context.Context, changed func(*Exceptions), failed func(error)) {
	tick := time.NewTicker(reload.Pause)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case now := <-tick.C:
			switch news, err := f.source.Look(now); {
			case news && err != nil:
				failed(err)
			case news:
				changed(f.source.Value)
			}
		}
	}
}
