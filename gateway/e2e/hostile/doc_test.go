// Package hostile attacks a node as strangers and devices could: with little that costs it much. Each attack has a bound of the memory that one attacker may
// take, made of the limits of the packages and the configuration, and another device is served in the meantime.
//
// Memory is what lives after a garbage collection, and stacks, of the whole process: the embedded bus, and the attackers' own ends of their connections, are
// in it too.
package hostile
