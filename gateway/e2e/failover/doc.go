// Package failover shows what becomes of sessions when the primary of Redis is lost and its replica takes over: step by step, and against a Redis
// of its own. Package chaos does the same under load, without saying which message was where at the time.
//
// What decides is what the replica had. Profile standard answers a device when the primary has the change: of the last moments something may be
// lost, and then the device is told (Session Present 0, or the end of its connection). Profile durable answers when the replica has it, so nothing
// that was answered is lost, and while there is no replica it answers nobody.
package failover
