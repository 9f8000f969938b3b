package gateway

import (
	"context"
	"time"

	"sluice/gateway/bridge"
	"sluice/mapping/failure"
	"sluice/mqtt/session"
)

// goingDown ends a connection for a restart: persistent sessions stay, Wills are not fired. With a reference the device is told where to go.
func (gw *Gateway) goingDown() session.CloseRequested {
	c := bridge.CloseFor(failure.ShuttingDown)
	if gw.opt.ServerReference != "" {
		c = bridge.CloseFor(failure.AnotherServer)
		c.ServerReference = gw.opt.ServerReference
	}
	c.NoWill = true
	return c
}

// Shutdown stops the node in good order: no new connections, DISCONNECT 0x8B (0x9C with Options.ServerReference) to every device at the pace of Options.DrainRate, deliveries released to the bus, sessions
// released in the store, the node's inbox removed. When ctx ends first it gives up what is left and returns ctx's error; the store and the
// bus stay open, they are the caller's.
func (gw *Gateway) Shutdown(ctx context.Context) error {
	for _, l := range gw.stop() {
		_ = l.Close()
	}
	for _, c := range gw.directory.handshakes() {
		_ = c.Close() // who it is was not said yet, and what to tell it neither
	}
	gw.drain(ctx)
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
			gw.parking.Wake(&d.reading.place)
		}
	}
	gw.upkeep.finish(ctx)
	gw.finishRecords(ctx)
	gw.nodes.close(ctx)
	gw.fixed.close(ctx)
	if gw.retained != nil {
		gw.retained.close(ctx)
	}
	gw.events.close(ctx) // last: the end of the node makes some
	gw.cancel()
	<-done
	gw.parking.Close()
	gw.events.wait()
	gw.upkeep.tasks.Wait()
	gw.recording.Wait()
	if gw.retained != nil {
		gw.retained.tasks.Wait()
	}
	return err
}

// finishRecords waits for the records of what ended the connections, not longer than a bus that works needs.
func (gw *Gateway) finishRecords(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, closeWait)
	defer cancel()
	done := make(chan struct{})
	go func() {
		gw.recording.Wait()
		close(done)
	}()
	select {
	case <-done:
	case <-ctx.Done():
	}
}

// drain tells the devices to go, paced so that they do not all come back to the other nodes at once. It takes at most two thirds of the
// time there is: what is left is for giving back what they had.
func (gw *Gateway) drain(ctx context.Context) {
	devices := gw.directory.connections()
	rate := float64(gw.opt.DrainRate)
	if deadline, ok := ctx.Deadline(); ok && rate > 0 {
		rate = max(rate, float64(len(devices))/(time.Until(deadline).Seconds()*2/3))
	}
	began := time.Now()
	tick := time.NewTicker(drainTick)
	defer tick.Stop()
	for told := 0; told < len(devices); {
		due := len(devices)
		if rate > 0 {
			due = min(due, int(time.Since(began).Seconds()*rate)+1)
		}
		for ; told < due; told++ {
			devices[told].post(gw.goingDown())
		}
		if told == len(devices) {
			return
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			rate = 0
		}
	}
}

// stop makes begin refuse and gives the listeners.
func (gw *Gateway) stop() []Listener {
	gw.mu.Lock()
	defer gw.mu.Unlock()
	gw.stopping = true
	return gw.listeners
}
