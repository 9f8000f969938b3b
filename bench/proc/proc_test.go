package proc_test

import (
	"net"
	"os"
	"os/exec"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"sluice/bench/proc"
)

// The process that listens on a port of ours is this one, and burning its processor shows.
func TestListeningAndUse(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	port := l.Addr().(*net.TCPAddr).Port
	pid, err := proc.Listening(port)
	if err != nil || pid != os.Getpid() {
		t.Fatalf("port %d is listened on by %d (%v), want %d", port, pid, err, os.Getpid())
	}
	before, err := proc.Read(pid)
	if err != nil {
		t.Fatal(err)
	}
	if before.RSS < 1<<20 {
		t.Errorf("RSS is %d bytes", before.RSS)
	}
	deadline := time.Now().Add(10 * time.Second)
	for n := 0; ; n++ {
		if now, err := proc.Own(); err != nil {
			t.Fatal(err)
		} else if used := now.Minus(before); used.CPU >= 50*time.Millisecond {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("10 s of work do not show as processor time")
		}
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	if pid, err := proc.Listening(port); err == nil {
		t.Errorf("nobody listens any more, got %d", pid)
	}
}

// A child's use is in its parent's, and a process that is gone is an error.
func TestDescendants(t *testing.T) {
	alone, err := proc.Read(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	child := exec.Command("cat")
	in, err := child.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	own, err := proc.Own()
	if err != nil {
		t.Fatal(err)
	}
	both, err := proc.Read(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	if alone.RSS == 0 || both.RSS <= own.RSS {
		t.Errorf("RSS alone %d, with a child %d of which own %d", alone.RSS, both.RSS, own.RSS)
	}
	_ = in.Close()
	if err := child.Wait(); err != nil {
		t.Fatal(err)
	}
	if _, err := proc.Read(child.Process.Pid); err == nil {
		t.Error("a process that is gone gives figures")
	}
}

func TestIdle(t *testing.T) {
	idle, err := proc.Idle(50 * time.Millisecond)
	if err != nil || idle < 0 || idle > 1 {
		t.Fatalf("%v, %v", idle, err)
	}
	var stop atomic.Bool
	var busy sync.WaitGroup
	for range runtime.NumCPU() {
		busy.Go(func() {
			for !stop.Load() {
			}
		})
	}
	defer busy.Wait()
	defer stop.Store(true)
	if idle, err := proc.Idle(200 * time.Millisecond); err != nil || idle > 0.5 {
		t.Errorf("every core is kept busy, and %.2f of them are idle (%v)", idle, err)
	}
}
