package client

import (
	"context"

	"sluice/amqp/message"
)

// link is one attachment of a receiver. After it is lost its methods do nothing.
type link interface {
	// take waits for deliveries, and appends some to dst. An error is the link's, or ctx's. It is called by one goroutine at a time, which has handled what
	// it took before.
	take(ctx context.Context, dst []arrival) ([]arrival, error)
	// settle settles a delivery; a tag that is not unsettled here is ignored.
	settle(tag uint64, o message.Outcome)
	// grant adds credit, behind the settlements made before it, up to maxCredit.
	grant(n uint32)
	// detach settles with back what is unsettled, in order, and waits until the link is down. Nothing is settled afterwards.
	detach(back message.Outcome)
}

// arrival is a delivery that has come whole.
type arrival struct {
	tag     uint64
	raw     []byte // the encoded message
	err     error  // why there is none
	settled bool
}
