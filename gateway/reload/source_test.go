package reload

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// TestLook: an error is news once, and files that are good again are taken although nothing else has changed.
func TestLook(t *testing.T) {
	file := filepath.Join(t.TempDir(), "f")
	write := func(content string) {
		t.Helper()
		if err := errors.Join(os.WriteFile(file+".new", []byte(content), 0o600), os.Rename(file+".new", file)); err != nil {
			t.Fatal(err)
		}
	}
	write("1")
	fail := errors.New("not now")
	var failing error
	s := Source[string]{Files: []string{file}, Read: func(time.Time) (string, error) {
		b, err := os.ReadFile(file)
		return string(b), errors.Join(err, failing)
	}}
	if err := s.Open(time.Now()); err != nil || s.Value != "1" {
		t.Fatal(s.Value, err)
	}
	step := func(what string, wantNews bool, wantErr error, want string) {
		t.Helper()
		news, err := s.Look(time.Now())
		if news != wantNews || !errors.Is(err, wantErr) || s.Value != want {
			t.Errorf("%s: news %v, error %v, value %q", what, news, err, s.Value)
		}
	}
	step("nothing has changed", false, nil, "1")
	write("2")
	failing = fail
	step("a change that fails", true, fail, "1")
	step("it still fails", false, fail, "1")
	failing = nil
	step("mended", true, nil, "2")
	step("nothing has changed since", false, nil, "2")
	if err := os.Remove(file); err != nil {
		t.Fatal(err)
	}
	step("gone", true, os.ErrNotExist, "2")
}
