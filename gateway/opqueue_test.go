package gateway

import (
	"testing"
	"testing/synctest"
)

func TestOperationsRunInOrderOneAtATime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var q opQueue
		var got []int
		gate := make(chan struct{})
		for i := range 100 {
			q.add(func() {
				if i == 0 {
					<-gate
				}
				got = append(got, i) // a second goroutine here would be a race
			})
		}
		close(gate)
		q.wait()
		for i, n := range got {
			if i != n {
				t.Fatalf("order %v", got)
			}
		}
		if len(got) != 100 {
			t.Fatalf("%d of 100 ran before wait returned", len(got))
		}
		q.wait() // idle: returns at once
		q.add(func() { got = nil })
		q.wait()
		if got != nil {
			t.Error("the queue does not start again")
		}
	})
}
