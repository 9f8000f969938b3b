package chaos

import (
	"context"
	"net"
	"net/http"
	"sync"
	"testing"
	"time"
)

// balancer is the TCP load balancer before the nodes: least connections among those whose /readyz says so, no affinity.
type balancer struct {
	*pipes
	address  string
	listener *net.TCPListener
	stop     context.CancelFunc
	work     sync.WaitGroup

	mu      sync.Mutex
	targets []*target
	owner   map[string]int // device's address -> index of the node
}

type target struct {
	mqtt, admin string
	up          bool
	failed      int // checks in a row
	connections int
}

func startBalancer(t *testing.T, nodes []*node) *balancer {
	t.Helper()
	l, err := net.ListenTCP("tcp", &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	b := &balancer{pipes: newPipes(), address: l.Addr().String(), listener: l, stop: cancel, owner: map[string]int{}}
	for _, n := range nodes {
		b.targets = append(b.targets, &target{mqtt: n.mqtt, admin: n.admin})
	}
	b.work.Go(b.accept)
	for _, target := range b.targets {
		b.work.Go(func() { b.watch(ctx, target) })
	}
	t.Cleanup(func() {
		cancel()
		_ = l.Close()
		b.pipes.close()
		b.work.Wait()
	})
	return b
}

func (b *balancer) accept() {
	for {
		near, err := b.listener.AcceptTCP()
		if err != nil {
			return
		}
		b.work.Go(func() { b.connect(near) })
	}
}

// connect passes a device on. A node that does not take it counts as down until its next check.
func (b *balancer) connect(near *net.TCPConn) {
	for {
		index := b.choose()
		if index < 0 {
			_ = near.Close()
			return
		}
		far, err := net.DialTimeout("tcp", b.targets[index].mqtt, dialWait)
		if err != nil {
			b.drop(index, true)
			continue
		}
		device := near.RemoteAddr().String()
		b.mu.Lock()
		b.owner[device] = index
		b.mu.Unlock()
		b.join(near, far.(*net.TCPConn), func() {
			b.mu.Lock()
			delete(b.owner, device)
			b.mu.Unlock()
			b.drop(index, false)
		})
		return
	}
}

// choose takes a place on the node with the fewest connections, -1 if none is up.
func (b *balancer) choose() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	best := -1
	for i, t := range b.targets {
		if t.up && (best < 0 || t.connections < b.targets[best].connections) {
			best = i
		}
	}
	if best >= 0 {
		b.targets[best].connections++
	}
	return best
}

func (b *balancer) drop(index int, failed bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.targets[index].connections--
	if failed {
		b.targets[index].up = false
	}
}

// nodeOf gives the index of the node that serves the device with this local address.
func (b *balancer) nodeOf(device string) (index int, ok bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	index, ok = b.owner[device]
	return index, ok
}

// ready reports whether the balancer sends devices to a node.
func (b *balancer) ready(index int) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.targets[index].up
}

// forget takes a node out until its next good check, as who replaces a process tells the balancer.
func (b *balancer) forget(index int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.targets[index].up = false
}

// watch checks a node's health until ctx ends.
func (b *balancer) watch(ctx context.Context, target *target) {
	client := &http.Client{Timeout: healthWait, Transport: &http.Transport{DisableKeepAlives: true}}
	tick := time.NewTicker(healthEvery)
	defer tick.Stop()
	for {
		ok := healthy(ctx, client, target.admin)
		b.mu.Lock()
		switch {
		case ok:
			target.up, target.failed = true, 0
		default:
			if target.failed++; target.failed >= healthFall {
				target.up = false
			}
		}
		b.mu.Unlock()
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}

func healthy(ctx context.Context, client *http.Client, admin string) bool {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+admin+"/readyz", nil)
	if err != nil {
		return false
	}
	response, err := client.Do(request)
	if err != nil {
		return false
	}
	_ = response.Body.Close()
	return response.StatusCode == http.StatusOK
}
