// Package auth decides who a device is: a Chain asks authenticators in the order of the configuration, counts what came of it, and slows down those who try.
//
// Here are the authenticators that need nothing of their own, Anonymous and Certificate. Passwords are in gateway/auth/password, tokens in gateway/auth/token, the HTTP
// hook in gateway/auth/hook. What a principal may do is in gateway/permit.
//
// Invariants: nobody is let in by default, a Chain without authenticators refuses; an authenticator that cannot judge at present lets nobody in, and nobody is asked in its
// place; what a device has shown is not kept, and is in no error, metric or log.
package auth
