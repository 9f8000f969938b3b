package gateway

import (
	"context"
	"errors"

	"sluice/amqp"
	"sluice/gateway/bridge"
	"sluice/sessionstore"
)

type sharedLane struct{ lane }

var errGroupOver = errors.New("the group of the shared subscription has begun anew")
var groupOver = storeGone

func (d *device) joinShared(context.Context, bridge.Shared) error { return amqp.ErrRefused }
func (d *device) leaveShared(context.Context, string) error       { return amqp.ErrRefused }
func (d *device) handOver(e bridge.HandOver)                      { d.post(bridge.HandedOver{Delivery: e.Delivery}) }
func (gw *Gateway) dissolve(context.Context, sessionstore.Work) error {
	return nil
}
