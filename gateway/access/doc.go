// Package access has the words that authentication, authorization and quotas share: who a device is, and what it shows to prove it.
//
// How credentials are checked is in gateway/auth, what a principal may do in gateway/permit, how much of it in gateway/quota. Nothing here decides.
package access
