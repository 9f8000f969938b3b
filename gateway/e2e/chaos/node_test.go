package chaos

import (
	"context"
	"fmt"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"sync"
	"syscall"
	"testing"
	"time"
)

// node is a place for a process: its ports, its proxies, and the lives it has had. Each life has a node id of its own, as a replaced pod has.
type node struct {
	index       int
	mqtt, admin string
	bus, store  *proxy
	binary      string
	prefix      string
	busURL      string
	storeURL    string
	profile     string
	logs        string // folder
	book        *ledger

	mu     sync.Mutex
	lives  []*life
	asleep []span // each SIGSTOP with its SIGCONT
}

// life is one process.
type life struct {
	id   string
	cmd  *exec.Cmd
	log  string
	done chan struct{} // closed when the process is gone

	mu         sync.Mutex
	killed     time.Time // SIGKILL
	terminated time.Time // SIGTERM
	paused     time.Time // the latest SIGSTOP
	unready    bool      // it was paused before it served anybody: what it waited for may have taken too long, and then it gives up
	ended      time.Time
	err        error
}

// build makes the command as a release would.
func build(t *testing.T) string {
	t.Helper()
	binary := filepath.Join(t.TempDir(), "sluice")
	if out, err := exec.Command("go", "build", "-o", binary, "sluice/cmd/sluice").CombinedOutput(); err != nil {
		t.Fatalf("building cmd/sluice: %v\n%s", err, out)
	}
	return binary
}

// newNodes chooses ports and starts the proxies; no process runs yet.
func newNodes(t *testing.T, binary, prefix, busURL, storeURL, profile string, book *ledger) []*node {
	t.Helper()
	ports, logs := freePorts(t, 2*nodeCount), t.ArtifactDir()
	nodes := make([]*node, nodeCount)
	for i := range nodes {
		n := &node{index: i, mqtt: ports[2*i], admin: ports[2*i+1], binary: binary, prefix: prefix, profile: profile, logs: logs, book: book}
		n.bus, n.busURL = behindProxy(t, busURL)
		n.store, n.storeURL = behindProxy(t, storeURL)
		nodes[i] = n
	}
	t.Cleanup(func() {
		for _, n := range nodes {
			n.end()
		}
	})
	return nodes
}

func behindProxy(t *testing.T, raw string) (*proxy, string) {
	t.Helper()
	u, err := url.Parse(raw)
	if err != nil || u.Port() == "" {
		t.Fatalf("the URL of a service must have a host and a port: %v", err)
	}
	p := startProxy(t, u.Host)
	u.Host = p.address
	return p, u.String()
}

// freePorts finds ports below those that the kernel gives to outgoing connections, so that nobody takes one while its node is dead.
func freePorts(t *testing.T, n int) (found []string) {
	t.Helper()
	var held []net.Listener
	defer func() {
		for _, l := range held {
			_ = l.Close()
		}
	}()
	for port := 20000 + os.Getpid()%5000; len(found) < n; port++ {
		if port > 29999 {
			t.Fatal("no free ports between 20000 and 30000")
		}
		l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port))
		if err != nil {
			continue
		}
		held = append(held, l)
		found = append(found, l.Addr().String())
	}
	return found
}

// start gives the place a new process. It does not wait until that is ready: the balancer finds out.
func (n *node) start(t *testing.T) {
	t.Helper()
	n.mu.Lock()
	defer n.mu.Unlock()
	l := &life{id: fmt.Sprintf("%s-n%d-%d", n.prefix, n.index, len(n.lives)+1), done: make(chan struct{})}
	l.log = filepath.Join(n.logs, l.id+".log")
	file, err := os.Create(l.log)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = file.Close() }()
	l.cmd = exec.Command(n.binary, "serve", "--set", "node.id="+l.id, "--set", "mqtt.tcp.listen="+n.mqtt, "--set", "admin.listen="+n.admin,
		"--set", "bus.url="+n.busURL, "--set", "sessions.url="+n.storeURL, "--set", "profile="+n.profile,
		// The bus is that of other tests as well, the store is not: these nodes would take what others want retained.
		"--set", "retained.queue=off", "--set", "sessions.expiry_max=10m", "--set", "log.format=console")
	l.cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + os.Getenv("HOME")}
	l.cmd.Stdout, l.cmd.Stderr = file, file
	if err := l.cmd.Start(); err != nil {
		t.Fatalf("starting a node: %v", err)
	}
	go l.reap(n.book)
	n.lives = append(n.lives, l)
}

// reap waits for the process. One that ends without having been told to has crashed.
func (l *life) reap(book *ledger) {
	err := l.cmd.Wait()
	l.mu.Lock()
	l.ended, l.err = time.Now(), err
	switch {
	case l.killed.IsZero() && l.terminated.IsZero() && l.unready && l.cmd.ProcessState.ExitCode() == 1:
		// It says what it waited for in vain, and whoever runs it starts it again: here mend does.
	case l.killed.IsZero() && l.terminated.IsZero():
		book.violation("crash", "node %s ended by itself: %v", l.id, err)
	case l.killed.IsZero() && err != nil:
		book.violation("drain", "node %s did not stop in good order: %v", l.id, err)
	}
	l.mu.Unlock()
	close(l.done)
}

// current is the latest life.
func (n *node) current() *life {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.lives[len(n.lives)-1]
}

// between gives the lives that a connection may belong to which was dialled and established at these times.
func (n *node) between(dialled, established time.Time) (some []*life) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, l := range n.lives {
		l.mu.Lock()
		over := !l.ended.IsZero() && !dialled.Before(l.ended)
		last := l.ended.IsZero() || established.Before(l.ended)
		l.mu.Unlock()
		if !over {
			some = append(some, l)
		}
		if last {
			break
		}
	}
	return some
}

func (l *life) signal(s syscall.Signal) { _ = l.cmd.Process.Signal(s) } // a process that is gone needs none

func (n *node) kill() {
	l := n.current()
	l.mu.Lock()
	l.killed = time.Now()
	l.mu.Unlock()
	l.signal(syscall.SIGKILL)
	<-l.done
}

func (n *node) pause(ready bool) {
	l := n.current()
	l.mu.Lock()
	l.paused, l.unready = time.Now(), !ready
	n.mu.Lock()
	n.asleep = append(n.asleep, span{l.paused, l.paused.Add(time.Hour)})
	n.mu.Unlock()
	l.mu.Unlock()
	l.signal(syscall.SIGSTOP)
}

func (n *node) resume() {
	n.mu.Lock()
	n.asleep[len(n.asleep)-1].to = time.Now()
	n.mu.Unlock()
	n.current().signal(syscall.SIGCONT)
}

// pauses gives when the node was stopped.
func (n *node) pauses() []span {
	n.mu.Lock()
	defer n.mu.Unlock()
	return slices.Clone(n.asleep)
}

// terminate stops the process in good order and waits until it is gone.
func (n *node) terminate(ctx context.Context) error {
	l := n.current()
	l.mu.Lock()
	l.terminated = time.Now()
	l.mu.Unlock()
	l.signal(syscall.SIGTERM)
	select {
	case <-l.done:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("node %s has not ended after SIGTERM: %w", l.id, ctx.Err())
	}
}

// running reports whether there is a process.
func (n *node) running() bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	if len(n.lives) == 0 {
		return false
	}
	select {
	case <-n.lives[len(n.lives)-1].done:
		return false
	default:
		return true
	}
}

// end kills what is left.
func (n *node) end() {
	if n.running() {
		n.kill()
	}
}
