package conformance

import (
	"fmt"
	"strings"
)

// Document renders the tables as a page.
func Document(tables ...*Table) string {
	var b strings.Builder
	b.WriteString(documentHead)
	b.WriteString("| | statements | proven | a device's | does not apply | pending |\n|---|---:|---:|---:|---:|---:|\n")
	for _, t := range tables {
		n := t.count()
		fmt.Fprintf(&b, "| MQTT %s | %d | %d | %d | %d | %d |\n", t.Name, len(t.Statements), n[Proven], n[Client], n[Exempt], n[Pending])
	}
	for _, t := range tables {
		fmt.Fprintf(&b, "\n## MQTT %s\n", t.Name)
		section := ""
		for i := range t.Statements {
			s := &t.Statements[i]
			if now := sectionOf(s.Number); now != section {
				section = now
				fmt.Fprintf(&b, "\n### %s\n\n| | what it asks | what answers it |\n|---|---|---|\n", sectionTitle(section))
			}
			fmt.Fprintf(&b, "| %s | %s | %s |\n", s.Number, cell(s.Text), s.answer())
		}
	}
	return b.String()
}

const documentHead = `# Conformance

Every numbered statement of MQTT 5.0 and MQTT 3.1.1 that the standards list in their appendices B, what it asks in our words, and what answers it:

- the tests that fail if the gateway breaks the rule, as ` + "`package`" + ` Test: cases;
- *a device's*: the statement binds only a client. Tests, if there are any, show what the gateway does when a device breaks it;
- *does not apply*: it binds servers, but not by what this one does;
- *pending*: not there yet, or known to be broken.

This page is made from ` + "`mqtt/conformance`" + ` by ` + "`make docs`" + `; a test fails when it is out of date, when it names a test that does not exist or may be
skipped, and when a statement has no answer.

`

func (t *Table) count() map[State]int {
	n := map[State]int{}
	for i := range t.Statements {
		n[t.Statements[i].State]++
	}
	return n
}

func (s *Statement) answer() string {
	var lines []string
	switch s.State {
	case Client:
		lines = append(lines, "*a device's*: "+cell(s.Reason))
	case Exempt:
		lines = append(lines, "*does not apply*: "+cell(s.Reason))
	case Pending:
		lines = append(lines, "*pending*: "+cell(s.Reason))
	}
	for _, p := range s.Proofs {
		line := fmt.Sprintf("`%s` %s", p.Package, p.Test)
		if len(p.Cases) > 0 {
			line += ": " + cell(strings.Join(p.Cases, "; "))
		}
		lines = append(lines, line)
	}
	return strings.Join(lines, "<br>")
}

// cell escapes what means something in a table of Markdown.
func cell(s string) string {
	return strings.NewReplacer("|", `\|`, "<", "&lt;", "*", `\*`, "_", `\_`).Replace(s)
}

// sectionOf is the section a number is of: its first two parts.
func sectionOf(number string) string {
	parts := strings.SplitN(number, ".", 3)
	return parts[0] + "." + parts[1]
}

// titles are what the sections of both versions are about.
var titles = map[string]string{
	"1.5": "Data representation", "2.1": "Fixed header", "2.2": "Packet identifiers and properties", "2.3": "Packet identifiers",
	"3.1": "CONNECT", "3.2": "CONNACK", "3.3": "PUBLISH", "3.4": "PUBACK", "3.5": "PUBREC", "3.6": "PUBREL", "3.7": "PUBCOMP",
	"3.8": "SUBSCRIBE", "3.9": "SUBACK", "3.10": "UNSUBSCRIBE", "3.11": "UNSUBACK", "3.12": "PINGREQ", "3.14": "DISCONNECT", "3.15": "AUTH",
	"4.1": "Session state", "4.2": "Network connections", "4.3": "Quality of Service", "4.4": "Delivery retry", "4.5": "Message receipt",
	"4.6": "Message ordering", "4.7": "Topic names and filters", "4.8": "Shared subscriptions; in 3.1.1: errors", "4.9": "Flow control",
	"4.12": "Enhanced authentication", "4.13": "Errors", "6.0": "WebSocket", "7.0": "Conformance targets", "7.1": "Conformance clauses",
}

func sectionTitle(section string) string {
	if title := titles[section]; title != "" {
		return section + " " + title
	}
	return section
}
