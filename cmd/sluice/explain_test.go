package main

import (
	"bytes"
	"flag"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

var rewrite = flag.Bool("rewrite", false, "write the output of the examples in docs/mapping.md and docs/authorization.md anew instead of comparing with it")

var (
	yamlBlock = regexp.MustCompile("(?s)```yaml\n(.*?)```")
	example   = regexp.MustCompile("(?s)```console\n\\$ (sluice explain [^\n]*)\n(.*?)```")
	word      = regexp.MustCompile(`'[^']*'|\S+`)
)

// TestMappingPage runs the examples of docs/mapping.md with the rules that stand there: the output is what the page shows.
func TestMappingPage(t *testing.T) { runPage(t, "../../docs/mapping.md", 10) }

// TestAuthorizationPage does the same with the policy of docs/authorization.md.
func TestAuthorizationPage(t *testing.T) { runPage(t, "../../docs/authorization.md", 4) }

func runPage(t *testing.T, name string, least int) {
	t.Helper()
	page, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	block := yamlBlock.FindSubmatch(page)
	if block == nil {
		t.Fatal("the page has no rules")
	}
	file := filepath.Join(t.TempDir(), "sluice.yaml")
	if err := os.WriteFile(file, block[1], 0o600); err != nil {
		t.Fatal(err)
	}
	ran := 0
	written := example.ReplaceAllFunc(page, func(found []byte) []byte {
		part := example.FindSubmatch(found)
		command := string(part[1])
		ran++
		got := runCommand(t, command, file)
		if !*rewrite && got != string(part[2]) {
			t.Errorf("%s\nprints:\n%s\nbut the page shows:\n%s\n(go test ./cmd/sluice -rewrite writes it anew)", command, got, part[2])
		}
		return []byte("```console\n$ " + command + "\n" + got + "```")
	})
	if ran < least {
		t.Errorf("%d examples, want %d at least", ran, least)
	}
	if *rewrite {
		if err := os.WriteFile(name, written, 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// runCommand runs a line of the page in this process.
func runCommand(t *testing.T, line, file string) string {
	t.Helper()
	var args []string
	for _, w := range word.FindAllString(line, -1)[1:] {
		w = strings.Trim(w, "'")
		if w == "sluice.yaml" || w == "policy.yaml" {
			w = file
		}
		args = append(args, w)
	}
	var out, odd bytes.Buffer
	cmd := root()
	cmd.SetArgs(args)
	cmd.SetOut(&out)
	cmd.SetErr(&odd)
	if err := cmd.Execute(); err != nil {
		t.Fatalf("%s: %v", line, err)
	}
	if odd.Len() > 0 {
		t.Errorf("%s warns: %s", line, odd.String())
	}
	return out.String()
}

func TestExplainRefusesWhatMakesNoSense(t *testing.T) {
	for want, args := range map[string][]string{
		"nothing is asked":           {},
		"give one or the other":      {"a", "--address", "/queues/q"},
		`the topic "a/#"`:            {"a/#"},
		"MQTT 3.1.1 has no":          {"a", "--v311", "-P", "a=b"},
		"configuration cannot be us": {"a", "--set", "rules=x"},
		"is no claim; write it as":   {"a", "--as", "p", "--claim", "site"},
		"name the principal with":    {"a", "--group", "staff"},
		"--policy: cannot open":      {"a", "--as", "p", "--policy", "/nowhere"},
		"neither retained nor a Wil": {"--subscribe", "a", "--as", "p", "--retain", "--set", "access.default=own"},
	} {
		cmd := root()
		cmd.SetArgs(append([]string{"explain"}, args...))
		cmd.SetOut(&bytes.Buffer{})
		cmd.SetErr(&bytes.Buffer{})
		if err := cmd.Execute(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v: %v, want %q", args, err, want)
		}
	}
}
