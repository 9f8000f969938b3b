package config

import (
	"fmt"
	"strings"
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
	return b.String()
}

// Help is the list of keys for --help.
func Help() string {
	var b strings.Builder
	for _, k := range keys(&Config{}) {
		fmt.Fprintf(&b, "  %s (default %s)\n      %s\n", k.name, shown(k.value), k.doc)
	}
	return b.String()
}

func shown(v any) string {
	if s := fmt.Sprint(v); s != "" {
		return s
	}
	return "empty"
}
