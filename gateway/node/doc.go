// Package node puts a whole node together from its configuration: the bus (a real one, or the embedded one), the store, the gateway, the
// listeners and the admin server, and takes it apart again in good order.
package node
