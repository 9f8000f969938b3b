package rig

import (
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	goredis "github.com/redis/go-redis/v9"
)

// Alone gives an empty store that nobody else uses as long as the test runs: no other test, no other package that is tested beside this one.
func Alone(t testing.TB) string {
	t.Helper()
	for number := databaseFirst; number < databases; number++ {
		if lease(t, fmt.Sprintf("sluice-redis-database-%d.lock", number)) {
			url := database(t, number)
			empty(t, url)
			t.Cleanup(func() { empty(t, url) })
			return url
		}
	}
	t.Fatalf("all of %d databases are in use; wait for other tests to end", databases-databaseFirst)
	return ""
}

// empty removes what a database has: sessions of earlier tests would be ended by this one's nodes, and told of.
func empty(t testing.TB, url string) {
	t.Helper()
	o, err := goredis.ParseURL(url)
	if err != nil {
		t.Fatal(err)
	}
	db := goredis.NewClient(o)
	defer func() { _ = db.Close() }()
	if err := db.FlushDB(Context(t)).Err(); err != nil {
		t.Errorf("emptying %s: %v", url, err)
	}
}

// lease takes a name for this test, among all processes of this machine. It ends with the process at the latest.
func lease(t testing.TB, name string) bool {
	t.Helper()
	file, err := os.OpenFile(filepath.Join(os.TempDir(), name), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	if syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB) != nil {
		_ = file.Close()
		return false
	}
	t.Cleanup(func() { _ = file.Close() })
	return true
}
