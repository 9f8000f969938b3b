package redis

import (
	"crypto/sha1"
	_ "embed"
	"encoding/hex"
)

// script is one atomic step. Redis knows a script it has seen by the SHA-1 of its text.
type script struct {
	name, text, sha string
}

func newScript(name, text string) *script {
	sum := sha1.Sum([]byte(text))
	return &script{name: name, text: text, sha: hex.EncodeToString(sum[:])}
}

var (
	//go:embed scripts/claim.lua
	claimText string
	//go:embed scripts/apply.lua
	applyText string
	//go:embed scripts/release.lua
	releaseText string
	//go:embed scripts/get.lua
	getText string

	claimScript   = newScript("claim", claimText)
	applyScript   = newScript("apply", applyText)
	releaseScript = newScript("release", releaseText)
	getScript     = newScript("get", getText)
)
