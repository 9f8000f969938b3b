package reload

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"time"
)

// Source is a value that is made of files, and made again when they change. One goroutine at a time uses it.
type Source[T any] struct {
	Name  string // for logs and metrics
	Files []string
	Read  func(time.Time) (T, error)

	// Value is the newest that was good, once Open has succeeded.
	Value T
	seen  []stamp
	err   error // of the last attempt; Value is older then
}

// Open reads the value for the first time.
func (s *Source[T]) Open(now time.Time) (err error) {
	s.seen = stamps(s.Files)
	s.Value, err = s.Read(now)
	return err
}

// Look reads the value again if a file has changed, or the last attempt failed: a file may have been seen half written, or before its fellow. After an
// error the old value stays. news tells whether there is a new value, or an error that was not there before.
func (s *Source[T]) Look(now time.Time) (news bool, err error) {
	seen := stamps(s.Files) // before reading: what changes meanwhile is seen the next time
	if s.err == nil && same(seen, s.seen) {
		return false, nil
	}
	value, err := s.Read(now)
	before := s.err
	s.seen, s.err = seen, err
	if err != nil {
		return before == nil || before.Error() != err.Error(), err
	}
	s.Value = value
	return true, nil
}

// stamp tells one content of a file from the next without reading it. A link is followed: Kubernetes replaces files by moving one.
type stamp struct{ info fs.FileInfo } // nil: no file

func stamps(files []string) []stamp {
	all := make([]stamp, len(files))
	for i, f := range files {
		if info, err := os.Stat(f); err == nil {
			all[i] = stamp{info}
		}
	}
	return all
}

func same(a, b []stamp) bool {
	for i := range a {
		x, y := a[i].info, b[i].info
		if (x == nil) != (y == nil) {
			return false
		}
		if x != nil && (!os.SameFile(x, y) || x.Size() != y.Size() || !x.ModTime().Equal(y.ModTime())) {
			return false
		}
	}
	return true
}

// ReadFile reads a file of at most max bytes. The error names the configuration key and the file.
func ReadFile(key, file string, max int64) ([]byte, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, fmt.Errorf("%s: cannot open %q: %w; name a file that this process may read", key, file, cause(err))
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, max+1))
	if err != nil {
		return nil, fmt.Errorf("%s: cannot read %q: %w; name a file that this process may read", key, file, cause(err))
	}
	if int64(len(b)) > max {
		return nil, fmt.Errorf("%s: %q has more than %d bytes, which no such file has; name the right one", key, file, max)
	}
	return b, nil
}

// cause leaves out the path, which the sentence around it has.
func cause(err error) error {
	var path *fs.PathError
	if errors.As(err, &path) {
		return path.Err
	}
	return err
}
