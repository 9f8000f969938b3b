package main

import (
	"io"
	"strings"
	"testing"
)

// What is typed wrong gets one line that names it and says what is right. Nothing of it may be taken for a success.
func TestWrongCommandLines(t *testing.T) {
	for line, want := range map[string]string{
		"bogus":                      `sluice: there is no command "bogus" (sluice --help)`,
		"chek":                       `sluice: there is no command "chek"; did you mean check?`,
		"quarantine lst":             `sluice quarantine: there is no command "lst"; did you mean ls?`,
		"client bogus":               `sluice client: there is no command "bogus" (sluice client --help)`,
		"revoke lists":               `sluice revoke: there is no command "lists"; did you mean list?`,
		"revoke":                     "say whom: --principal, --client-id or --credential",
		"serve x":                    `sluice serve takes no arguments, and "x" is one (sluice serve --help)`,
		"serve --bus x":              "sluice serve: unknown flag: --bus (sluice serve --help)",
		"send":                       "sluice send: missing TOPIC and PAYLOAD (sluice send --help)",
		"send a":                     "sluice send: missing PAYLOAD (sluice send --help)",
		"send a b c":                 `sluice send takes TOPIC and PAYLOAD, and "c" is too much; quote what holds spaces or wildcards (sluice send --help)`,
		"send a b --qos many":        `sluice send: invalid argument "many" for "-q, --qos" flag: strconv.ParseUint: parsing "many": invalid syntax (sluice send --help)`,
		"tail a b":                   `sluice tail takes [FILTER], and "b" is too much; quote what holds spaces or wildcards (sluice tail --help)`,
		"passwd file":                "sluice passwd: missing NAME (sluice passwd --help)",
		"quarantine show":            "sluice quarantine show: missing ID (sluice quarantine show --help)",
		"check --set bus.grace=soon": `the configuration cannot be used: bus.grace: "soon" is not a time with its unit; write it like 500ms, 30s, 5m or 2h`,
	} {
		t.Run(line, func(t *testing.T) {
			cmd := root()
			cmd.SetOut(io.Discard)
			cmd.SetErr(io.Discard)
			cmd.SetArgs(strings.Fields(line))
			if err := cmd.ExecuteContext(t.Context()); err == nil || err.Error() != want {
				t.Errorf("%v\nwant %s", err, want)
			}
		})
	}
}
