package config

import (
	"fmt"
	"strings"

	"sluice/mapping/rules"
)

// example is a configuration as production has it; TestExampleOfTheReference loads it.
const example = `node: {id: node-1}
mqtt:
  tcp: {listen: off}
  tls: {listen: 0.0.0.0:8883, cert: /etc/sluice/cert.pem, key: /etc/sluice/key.pem, ticket_secret: /etc/sluice/tickets.secret}
bus: {url: "amqps://sluice:password@rabbitmq:5671"}
sessions: {url: "redis://redis:6379"}
auth: {methods: [password], password_file: /etc/sluice/passwords}
access: {policy: /etc/sluice/policy.yaml}
`

// sections are the headings of the reference, with the beginnings of the keys below each. A key goes to the first that has it, else to the last.
var sections = []struct {
	title string
	keys  []string
}{
	{"Where devices connect", []string{"mqtt.tcp.", "mqtt.tls.", "mqtt.ws.", "mqtt.wss."}},
	{"What devices may send and get", []string{"profile", "mqtt.", "retained.", "limits."}},
	{"The bus", []string{"bus."}},
	{"Sessions", []string{"sessions."}},
	{"Who a device is", []string{"auth.", "clients."}},
	{"What a device may do, and how much", []string{"access.", "quota."}},
	{"Messages on the bus", []string{"mapping.", "events.", "quarantine."}},
	{"The node", nil},
}

// sectionOf gives the index of a key's section.
func sectionOf(name string) int {
	if strings.HasPrefix(name, "mqtt.") && strings.HasSuffix(name, ".auth") {
		name = "auth." + name // beside auth.methods, which it replaces
	}
	for i, s := range sections {
		for _, begin := range s.keys {
			if strings.HasPrefix(name, begin) {
				return i
			}
		}
	}
	return len(sections) - 1
}

// keysOf are the keys of a section, in the order of the table.
func keysOf(section int) []key {
	var in []key
	for _, k := range keys(&Config{}) {
		if sectionOf(k.name) == section {
			in = append(in, k)
		}
	}
	return in
}

// Reference is the configuration reference as Markdown, from the same table that loads it.
func Reference() string {
	var b strings.Builder
	b.WriteString("# Configuration\n\n")
	b.WriteString("Two settings are enough to begin with: `bus.url` and `sessions.url`. Devices on other machines need `auth.methods` as well. Values come from `--set key=value`, from the\n")
	b.WriteString("environment (`bus.url` is `SLUICE_BUS_URL`), from one YAML file (`--config`), or are the defaults; what stands first here wins. Unknown keys and impossible values are\n")
	b.WriteString("refused at start. `sluice check` tries a configuration, with bus and store, without serving.\n\n")
	fmt.Fprintf(&b, "```yaml\n%s```\n\n", example)
	b.WriteString("Times are written like `500ms`, `30s`, `5m` or `2h`. Lists are YAML lists, or one text with commas. This page is generated from the code (`make docs`).\n")
	for i, s := range sections {
		fmt.Fprintf(&b, "\n## %s\n\n| key | default | meaning |\n|---|---|---|\n", s.title)
		for _, k := range keysOf(i) {
			fmt.Fprintf(&b, "| `%s` | %s | %s |\n", k.name, shown(k.value), k.doc)
		}
	}
	b.WriteString("\n## rules\n\n")
	b.WriteString("`rules` is a list of mapping rules, in the file only. The first rule that matches a message wins; where none does, the defaults hold.\n")
	b.WriteString("[mapping.md](mapping.md) explains them with examples. Each rule has these keys, of which only `topic` is required:\n\n")
	b.WriteString("| key | meaning |\n|---|---|\n")
	for _, f := range ruleFields(&rules.Rule{}) {
		fmt.Fprintf(&b, "| `%s` | %s |\n", f.name, f.doc)
	}
	return b.String()
}

// Help is the list of keys for --help.
func Help() string {
	var b strings.Builder
	for i, s := range sections {
		fmt.Fprintf(&b, "%s:\n", s.title)
		for _, k := range keysOf(i) {
			fmt.Fprintf(&b, "  %s (default %s)\n      %s\n", k.name, shown(k.value), k.doc)
		}
		b.WriteByte('\n')
	}
	b.WriteString("Mapping rules:\n  rules (default none)\n      A list in the file: sluice config has its keys.\n")
	return b.String()
}

func shown(v any) string {
	if s := fmt.Sprint(v); s != "" {
		return s
	}
	return "empty"
}
