package config

import (
	"fmt"
	"strings"

	"sluice/mapping/rules"
)

// Reference is the configuration reference as Markdown, from the same table that loads it.
func Reference() string {
	var b strings.Builder
	b.WriteString("# Configuration\n\n")
	b.WriteString("One YAML file (`--config`), environment variables and `--set key=value`. The order of precedence is `--set`, environment, file,\n")
	b.WriteString("default. Unknown keys and impossible values are refused at start. `sluice check` tries a configuration without serving.\n\n")
	b.WriteString("This page is generated from the code (`make docs`).\n\n")
	b.WriteString("| key | environment | default | meaning |\n|---|---|---|---|\n")
	for _, k := range keys(&Config{}) {
		fmt.Fprintf(&b, "| `%s` | `%s` | %s | %s |\n", k.name, envName(k.name), shown(k.value), k.doc)
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
	for _, k := range keys(&Config{}) {
		fmt.Fprintf(&b, "  %s (default %s)\n      %s\n", k.name, shown(k.value), k.doc)
	}
	b.WriteString("  rules (default none)\n      Mapping rules, a list in the file: sluice config has its keys.\n")
	return b.String()
}

func shown(v any) string {
	if s := fmt.Sprint(v); s != "" {
		return s
	}
	return "empty"
}
