// Package endpoint holds the AMQP 1.0 protocol rules of one accepted connection: connection, sessions and links with their windows,
// handles, credit and unsettled deliveries. It does no I/O and has no goroutine, lock, clock or log.
//
// A Connection is fed with decoded performatives (Handle), with the passing of time (Tick) and with the broker's decisions (AcceptLink,
// Settle, Deliver and so on). It answers in two places: encoded frames to write (TakeOutput), and effects that say what the peer wants of
// the broker (TakeEffects). Effects are handled in order and before the next performative; frames are written in order.
//
// The peer opens connections, sessions and links; we only accept. That apart, nothing here depends on being a broker: what addresses mean,
// where messages come from and what their outcome is are the caller's business.
//
// Local channel and handle numbers are those that the peer chose. A number is in use until both ends have ended or detached, so the
// peer's numbers are as unique as our own would be, and one table serves both directions.
//
// Invariants:
//
//   - no range that the peer sends is ever walked: dispositions visit our own unsettled deliveries only
//   - each accepted link gets exactly one LinkEnded, and no effect after it
//   - a delivery to the peer is either sent, waiting for the session window in order, or never taken (Ready says when to stop)
//   - credit and windows that were granted once are honoured, also after they were lowered: the peer cannot know yet
package endpoint
