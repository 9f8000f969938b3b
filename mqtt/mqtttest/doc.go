// Package mqtttest is a scripted MQTT device for tests. It sends what the test says, legal or not, and fails the test with
// what was expected and what came.
//
//	d := mqtttest.New(t, conn, packet.V5)
//	d.Connect()
//	d.Subscribe("cmd/#", 1)
//	d.Publish("temp", []byte("21"), 1)
//	d.Collect(1)
//
// It works over any net.Conn, on real sockets and inside a testing/synctest bubble (over net.Pipe): all waiting is done
// with read deadlines, and there is no goroutine. So nothing is read, acknowledged or answered but by a call: a Device that
// is not called is a client that reads nothing.
//
// Invariants: only the test's own goroutine may call a Device, because it ends the test; packets are handed out in the order
// in which they came; a packet that a helper did not wait for is set aside for the next call, never lost.
package mqtttest
