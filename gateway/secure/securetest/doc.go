// Package securetest makes certificate authorities, certificates and revocation lists for tests, as values and as PEM files.
package securetest
