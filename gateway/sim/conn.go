package sim

import (
	"time"

	"sluice/mqtt/packet"
)

// conn is a device's connection to a node. It can be cut between any two packets, and either end may be told at once, later or never.
type conn struct {
	w          *world
	id         int
	d          *device
	n          *node
	sh         *shell // nil until the node has accepted it
	up, down   *pipe
	nodeClosed bool
	asked      []asked // SUBSCRIBEs of the device
}

// asked is a filter of a SUBSCRIBE, and when it was sent.
type asked struct {
	filter string
	at     time.Time
}

// dial connects a device to a node.
func (w *world) dial(d *device, n *node) *conn {
	w.conns++
	c := &conn{w: w, id: w.conns, d: d, n: n, up: n.toDevices.newPipe(), down: n.toDevices.newPipe()}
	c.up.send(func() {
		if !n.alive {
			c.nodeDied()
			return
		}
		n.do(func() {
			if n.stopping || !n.started {
				c.closeByNode()
				return
			}
			c.sh = newShell(n, c)
			c.sh.post(opened())
		})
	})
	return c
}

// toNode sends a packet, or the end of the stream, to the node.
func (c *conn) toNode(p packet.Packet) {
	c.up.send(func() {
		c.n.do(func() {
			if c.sh == nil {
				return
			}
			if p != nil {
				c.w.log("%s->%s %s", c.d.id, c.n.id, packetText(p))
			}
			c.sh.receive(p)
		})
	})
}

// toDevice sends a packet to the device.
func (c *conn) toDevice(p packet.Packet) {
	if c.nodeClosed {
		return
	}
	c.down.send(func() {
		if c.d.conn == c {
			c.w.log("%s->%s %s", c.n.id, c.d.id, packetText(p))
		}
		c.d.receive(c, p)
	})
}

// closeByNode: what was sent is flushed, then the connection ends for both.
func (c *conn) closeByNode() {
	if c.nodeClosed {
		return
	}
	c.nodeClosed = true
	c.down.send(func() {
		c.up.sever()
		c.d.connectionLost(c)
	})
	c.n.after(c.w.between(0, 3*time.Millisecond), func() {
		if c.sh != nil {
			c.sh.receive(nil)
		}
	})
}

// closeByDevice: the device closes after what it has sent.
func (c *conn) closeByDevice() {
	c.toNode(nil)
	c.down.sever()
}

// cut loses all that is under way. Each end that is not left in the dark learns of it soon.
func (c *conn) cut(tellNode, tellDevice bool) {
	c.w.log("cut     connection %d of %s to %s, told: node %t, device %t", c.id, c.d.id, c.n.id, tellNode, tellDevice)
	c.up.sever()
	c.down.sever()
	if tellNode {
		c.n.after(c.w.between(0, 20*time.Millisecond), func() {
			if c.sh != nil {
				c.sh.receive(nil)
			}
		})
	}
	if tellDevice {
		c.w.after(c.w.between(0, 20*time.Millisecond), func() { c.d.connectionLost(c) })
	}
}

// nodeDied: some of what the node had written may still arrive. The device is told by the node's operating system, or not at all.
func (c *conn) nodeDied() {
	w := c.w
	c.up.sever()
	w.after(w.between(0, 2*time.Millisecond), c.down.sever)
	if w.chance(0.7) {
		w.after(w.between(2*time.Millisecond, 10*time.Millisecond), func() { c.d.connectionLost(c) })
	}
}
