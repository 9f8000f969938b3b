package sim

import (
	"fmt"
	"time"

	"sluice/sessionstore"
)

// node is one process of the gateway, from its start to its end.
type node struct {
	w    *world
	slot int
	id   string
	// life names this run of the process to the store. One that starts again under the same id is not the one that died (sessionstore/redis tells
	// lives apart by itself; in sessionstore/memory a life is a name).
	life  string
	alive bool
	// paused: the process gets no processor time, as by SIGSTOP. The world goes on; what concerns the node waits in backlog.
	paused   bool
	backlog  []func()
	stopping bool
	started  bool // it has its first lease, and takes devices
	upkeep   *upkeep

	toStore, toBus, toDevices *route

	store     *storeClient
	bus       *busClient
	directory map[sessionstore.Key]*shell
	shells    []*shell // not done, in the order of their connections
	lane      *nodeLane
}

// startNode puts a new process into a slot. It has the name of the one before where names are configured; else each has its own.
func (w *world) startNode(slot int) *node {
	w.starts++
	id := fmt.Sprintf("n%d", slot)
	if !w.sameNames {
		id = fmt.Sprintf("n%d.%d", slot, w.starts)
	}
	n := &node{
		w: w, slot: slot, id: id, life: fmt.Sprintf("%s+%d", id, w.starts), alive: true,
		toStore: &route{w: w}, toBus: &route{w: w}, toDevices: &route{w: w},
		directory: map[sessionstore.Key]*shell{},
	}
	n.store = &storeClient{n: n, lanes: map[sessionstore.Key]*storeLane{}}
	n.bus = newBusClient(n)
	n.lane = &nodeLane{n: n, inbox: "node." + n.id, markers: map[string]func(){}}
	w.log("node    %s starts", n.id)
	n.startUpkeep()
	return n
}

// do has the node do something now, or once it is awake again. The dead do nothing.
func (n *node) do(f func()) {
	switch {
	case !n.alive:
	case n.paused:
		n.backlog = append(n.backlog, f)
	default:
		f()
	}
}

func (n *node) after(d time.Duration, f func()) *event {
	return n.w.after(d, func() { n.do(f) })
}

// kill ends the process at once: its memory is gone, and what it had written to its sockets may arrive or not.
func (n *node) kill() {
	if !n.alive {
		return
	}
	n.w.log("node    %s dies", n.id)
	n.alive = false
	n.backlog = nil
	n.store.die()
	n.bus.die()
	for _, sh := range n.shells {
		sh.conn.nodeDied()
	}
}

func (n *node) pause() {
	if n.alive && !n.paused {
		n.w.log("node    %s is paused", n.id)
		n.paused = true
		n.bus.silent()
	}
}

func (n *node) resume() {
	if !n.alive || !n.paused {
		return
	}
	n.w.log("node    %s goes on", n.id)
	n.paused = false
	n.bus.heard()
	for len(n.backlog) > 0 && n.alive && !n.paused && n.w.stopped == nil {
		f := n.backlog[0]
		n.backlog = n.backlog[1:]
		f()
	}
}

// shutdown is gateway.Shutdown: every device is told, and what is left when the patience ends is given up.
func (n *node) shutdown() {
	if !n.alive || n.stopping {
		return
	}
	n.w.log("node    %s shuts down", n.id)
	n.stopping = true
	for _, sh := range append([]*shell(nil), n.shells...) {
		sh.post(goingDown)
	}
	deadline := n.w.now.Add(shutdownWait)
	var check func()
	check = func() {
		if len(n.shells) > 0 && n.w.now.Before(deadline) {
			n.after(10*time.Millisecond, check)
			return
		}
		n.bus.closeDown()
		n.w.after(5*time.Millisecond, n.kill)
	}
	check()
}

// lost passes on the store's word that another connection owns a session.
func (n *node) lost(key sessionstore.Key, epoch uint64) {
	if sh := n.directory[key]; sh != nil {
		sh.lost(epoch)
	}
}

// enter puts sh in the place of the session's connection and gives the one it displaces.
func (n *node) enter(key sessionstore.Key, sh *shell) *shell {
	old := n.directory[key]
	n.directory[key] = sh
	return old
}

func (n *node) leave(sh *shell) {
	if n.directory[sh.key] == sh {
		delete(n.directory, sh.key)
	}
	for i, other := range n.shells {
		if other == sh {
			n.shells = append(n.shells[:i:i], n.shells[i+1:]...)
			return
		}
	}
}
