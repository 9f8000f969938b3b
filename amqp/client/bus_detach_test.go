package client

import (
	"sync"
	"testing"

	"sluice/amqp"
)

// An inbox whose receiver is on its way out can be removed, and no receiver of the same connection suffers: RabbitMQ would end their
// session if the inbox were gone before the detach.
func TestRemovingAnInboxThatIsBeingLeftHarmsNobody(t *testing.T) {
	eachBus(t, testRemovingAnInboxThatIsBeingLeftHarmsNobody)
}

func testRemovingAnInboxThatIsBeingLeftHarmsNobody(t *testing.T, url string) {
	const rounds, together = 8, 10
	c := open(t, Options{URLs: []string{url}})
	bystander := &recorder{again: true}
	stays := c.Attach(amqp.Source{Inbox: newInbox(t, c, amqp.Inbox{}), Credit: 10}, bystander)
	bystander.waitAttached(t, 1)
	for range rounds {
		var leaving sync.WaitGroup
		for range together {
			name := newInbox(t, c, amqp.Inbox{})
			r := &recorder{}
			rcv := c.Attach(amqp.Source{Inbox: name}, r)
			r.waitAttached(t, 1)
			rcv.IssueCredit(10)
			leaving.Go(func() {
				if err := rcv.Close(deadline(t)); err != nil {
					t.Errorf("closing the receiver of %s: %v", name, err)
				}
			})
			leaving.Go(func() {
				if err := c.DeleteInbox(deadline(t), name); err != nil {
					t.Errorf("removing %s: %v", name, err)
				}
			})
		}
		leaving.Wait()
	}
	if attached, detached, _ := bystander.snapshot(); attached != 1 || len(detached) != 0 {
		t.Errorf("the other receiver was attached %d times and detached with %v", attached, detached)
	}
	closeReceiver(t, stays)
}
