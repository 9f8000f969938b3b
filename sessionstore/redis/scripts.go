package redis

import (
	"crypto/sha1"
	"embed"
	"encoding/hex"
	"strings"
)

// script is one atomic step. Redis knows a script it has seen by the SHA-1 of its text.
type script struct {
	name, text, sha string
}

//go:embed scripts/*.lua
var scriptFiles embed.FS

// newScript reads a script and puts what it shares with others below its first line, which declares its flags.
func newScript(name string, shared ...string) *script {
	flags, body, _ := strings.Cut(scriptText(name), "\n")
	text := flags + "\n" + scriptText("lib")
	for _, lib := range shared {
		text += scriptText(lib)
	}
	text += body
	sum := sha1.Sum([]byte(text))
	return &script{name: name, text: text, sha: hex.EncodeToString(sum[:])}
}

func scriptText(name string) string {
	text, err := scriptFiles.ReadFile("scripts/" + name + ".lua")
	if err != nil {
		panic(err) // built in: only a wrong name below
	}
	return string(text)
}

var (
	claimScript   = newScript("claim")
	applyScript   = newScript("apply")
	releaseScript = newScript("release")
	getScript     = newScript("get")

	dueScript    = newScript("due")
	finishScript = newScript("finish")
	peekScript   = newScript("peek")
	hintScript   = newScript("hint")

	leaseScript    = newScript("lease")
	registerScript = newScript("register")
	buryScript     = newScript("bury")
	orphanScript   = newScript("orphan")

	retainScript       = newScript("retain", "retained")
	unretainScript     = newScript("unretain", "retained")
	retainedHintScript = newScript("retainedhint")
	retainedTrimScript = newScript("retainedtrim", "retained")
	retainedGetScript  = newScript("retainedget", "retained")

	groupNoteScript   = newScript("groupnote")
	groupUnnoteScript = newScript("groupunnote")
	groupJoinScript   = newScript("groupjoin")
	groupLeaveScript  = newScript("groupleave")
	groupDueScript    = newScript("groupdue")
	groupTakeScript   = newScript("grouptake")

	bindScript   = newScript("bind")
	unbindScript = newScript("unbind")
	revokeScript = newScript("revoke")
)
