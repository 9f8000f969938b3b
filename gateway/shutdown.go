package gateway

import (
	"context"
	"net"

	"sluice/mqtt/packet"
	"sluice/mqtt/session"
)

// goingDown ends a connection for a restart: persistent sessions stay, Wills are not fired.
var goingDown = session.CloseRequested{Reason: packet.ServerShuttingDown, Text: "the server is going down; connect again", NoWill: true}

// Shutdown stops the node in good order: no new connections, DISCONNECT 0x8B to every device, deliveries released to the bus, sessions
// released in the store, the node's inbox removed. When ctx ends first it gives up what is left and returns ctx's error; the store and the
// bus stay open, they are the caller's.
func (gw *Gateway) Shutdown(ctx context.Context) error {
	for _, l := range gw.stop() {
		_ = l.Close()
	}
	for _, d := range gw.directory.connections() {
		d.post(goingDown)
	}
	done := make(chan struct{})
	go func() {
		gw.work.Wait()
		close(done)
	}()
	var err error
	select {
	case <-done:
	case <-ctx.Done():
		err = ctx.Err()
		for _, d := range gw.directory.connections() {
			_ = d.conn.Close()
		}
	}
	gw.nodes.close(ctx)
	gw.cancel()
	<-done
	return err
}

// stop makes begin refuse and gives the listeners.
func (gw *Gateway) stop() []net.Listener {
	gw.mu.Lock()
	defer gw.mu.Unlock()
	gw.stopping = true
	return gw.listeners
}
