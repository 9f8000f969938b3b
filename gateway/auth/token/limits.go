package token

import "time"

const (
	// tokenMax bounds a token, in bytes, before anything in it is looked at. Those of large directories have up to 8 KiB.
	tokenMax = 16 << 10
	// keysMax bounds the keys of a file or URL; an issuer has two to ten. anonymousMax bounds those tried for a token that names no key: each costs a
	// verification.
	keysMax      = 100
	anonymousMax = 8
	// missingMax bounds the keys of a URL of which it is not known yet whether they are withdrawn: an issuer replaces a few at a time. What is more, is.
	missingMax = 100
	// fileMax bounds a file with keys, bodyMax what a URL answers, in bytes.
	fileMax = 1 << 20
	bodyMax = 1 << 20
	// rsaMin and rsaMax bound the keys of RSA, in bits: shorter are not safe (RFC 7518, 3.3), longer take milliseconds of the processor.
	rsaMin, rsaMax = 2048, 8192
	// fetchTimeout bounds one request for keys, its redirects included.
	fetchTimeout = 10 * time.Second
	redirectsMax = 3
	// retryFirst is the pause after a request that failed; it doubles up to the time between refreshes.
	retryFirst = 2 * time.Second
	// unknownPause is the least time between requests that tokens with unknown keys cause: anybody can make such tokens.
	unknownPause = 5 * time.Second
	// timeMax is the last time that a claim may name, in seconds since 1970: the year 9999.
	timeMax = 253402300799
)
