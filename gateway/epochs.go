package gateway

import (
	"context"
	"time"

	"go.uber.org/zap"

	"sluice/sessionstore"
)

// compareEpochs goes round the connections of this node until the gateway is closed and ends those whose session another connection has. The
// notice of a takeover (sessionstore.Store.Watch) can be lost. A connection that does not hear of it would live on until its keep-alive ends,
// and keep the one receiver that its session's inbox may have: the new owner would get nothing, and after session.Config.OrphanTime it would
// close exchanges whose messages are only withheld.
//
// What this does not mend: a node that is cut off from the store alone, for longer than OrphanTime, cannot find out. A device that has moved
// away from it meanwhile waits for what the old connection withholds, and a 3.1.1 device can get a QoS 2 message twice that was under way then.
func (u *upkeep) compareEpochs() {
	period := epochsRound
	for u.gw.ctx.Err() == nil {
		if u.epochsRound(period) {
			period = epochsHurry
		} else {
			period = epochsRound
		}
	}
}

// epochsRound asks once for each connection there is, evenly over the period. When notices were missed meanwhile it breaks off: who is to be
// asked for first is not known, so a new round begins.
func (u *upkeep) epochsRound(period time.Duration) (missed bool) {
	devices := u.gw.directory.connections()
	parts := max(1, (len(devices)+sessionstore.MaxEpochs-1)/sessionstore.MaxEpochs)
	tick := time.NewTicker(period / time.Duration(parts))
	defer tick.Stop()
	for range parts {
		part := devices[:min(len(devices), sessionstore.MaxEpochs)]
		devices = devices[len(part):]
		u.endSpent(part)
		select {
		case <-tick.C:
		case <-u.missed:
			return true
		case <-u.gw.ctx.Done():
			return false
		}
	}
	return false
}

// endSpent asks for the epochs of a part of the connections and ends those that own nothing any more. A store that does not answer says nothing about
// them.
func (u *upkeep) endSpent(part []*device) {
	devices, fences, keys := make([]*device, 0, len(part)), make([]sessionstore.Fence, 0, len(part)), make([]sessionstore.Key, 0, len(part))
	for _, d := range part {
		if f, owns := d.owns(); owns {
			devices, fences, keys = append(devices, d), append(fences, f), append(keys, f.Key)
		}
	}
	if len(keys) == 0 {
		return
	}
	ctx, cancel := context.WithTimeout(u.gw.ctx, upkeepWait)
	defer cancel()
	epochs, err := u.gw.opt.Store.Epochs(ctx, keys)
	if err != nil {
		u.gw.log.Debug("epochs not compared", zap.Int("sessions", len(keys)), zap.Error(err))
		return
	}
	spent := sessionstore.Spent(fences, epochs)
	for _, i := range spent {
		devices[i].post(takenOver)
	}
	if len(spent) > 0 {
		u.gw.log.Info("connections ended whose sessions others had taken over; the notices did not arrive", zap.Int("connections", len(spent)))
	}
}

// noticesMissed has a round begin at once.
func (u *upkeep) noticesMissed() {
	select {
	case u.missed <- struct{}{}:
	default:
	}
}
