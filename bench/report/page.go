package report

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

const (
	pageFile = "performance.md"
	dataFile = "performance.json"
	plotsDir = "performance" // plots, and what people write: NAME.notes.md and whyFile
	whyFile  = "short.notes.md"
)

// WritePage writes docs/performance.md, docs/performance.json and docs/performance/*.svg from the sections. What people have to say about a scenario
// stands in docs/performance/NAME.notes.md and is put behind its table; why a goal is not reached stands in docs/performance/short.notes.md.
func WritePage(docs, intro string, sections []*Section) error {
	plots := filepath.Join(docs, plotsDir)
	if err := os.MkdirAll(plots, 0o755); err != nil {
		return err
	}
	var b strings.Builder
	b.WriteString("# Performance\n\n" + intro + "\n")
	why, err := readReasons(filepath.Join(plots, whyFile))
	if err != nil {
		return err
	}
	writeTargets(&b, sections, why)
	for _, s := range sections {
		notes, err := os.ReadFile(filepath.Join(plots, s.Name+".notes.md"))
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		for _, p := range s.Plots {
			if err := os.WriteFile(filepath.Join(plots, p.File+".svg"), []byte(p.SVG()), 0o644); err != nil {
				return err
			}
		}
		writeSection(&b, s, string(notes))
	}
	data, err := json.MarshalIndent(sections, "", "\t")
	if err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(docs, dataFile), append(data, '\n'), 0o644); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(docs, pageFile), []byte(b.String()), 0o644)
}

// LoadPage gives the sections that the page in docs was made of. Without the page there are none.
func LoadPage(docs string) (sections []*Section, err error) {
	file := filepath.Join(docs, dataFile)
	content, err := os.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	if err := json.Unmarshal(content, &sections); err != nil {
		return nil, fmt.Errorf("%s: %w; remove it", file, err)
	}
	return sections, nil
}

// readReasons reads why goals are not reached: "## KEY" and below it a few sentences.
func readReasons(file string) (map[string]string, error) {
	content, err := os.ReadFile(file)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	why, key := map[string]string{}, ""
	for line := range strings.Lines(string(content)) {
		line = strings.TrimSpace(line)
		if name, ok := strings.CutPrefix(line, "## "); ok {
			key = strings.TrimSpace(name)
			continue
		}
		if key != "" && line != "" {
			why[key] = strings.TrimSpace(why[key] + " " + line)
		}
	}
	return why, nil
}

// notKnown is the reason of what nobody has looked into.
const notKnown = "not known yet"

func writeTargets(b *strings.Builder, sections []*Section, why map[string]string) {
	b.WriteString("\n## What it must reach\n\n| what | goal | measured | | why it is short |\n|---|---|---|---|---|\n")
	for _, s := range sections {
		if s.Failed != "" {
			fmt.Fprintf(b, "| %s | | | **failed** | see below; what is here was measured before |\n", s.Title)
		}
		for _, t := range s.Targets {
			held, reason := "**short**", why[t.Key]
			if reason == "" {
				reason = notKnown
			}
			if t.Held {
				held, reason = "held", ""
			}
			fmt.Fprintf(b, "| %s | %s | %s | %s | %s |\n", t.What, t.Want, t.measured(), held, strings.ReplaceAll(reason, "|", "\\|"))
		}
	}
}

func writeSection(b *strings.Builder, s *Section, notes string) {
	fmt.Fprintf(b, "\n## %s\n\n%s\n\n", s.Title, strings.Join(s.Text, "\n\n"))
	b.WriteString(tables(s))
	for _, p := range s.Plots {
		fmt.Fprintf(b, "\n![%s](%s/%s.svg)\n", p.Title, plotsDir, p.File)
	}
	if notes = strings.TrimSpace(notes); notes != "" {
		b.WriteString("\n" + notes + "\n")
	}
	if s.Failed != "" {
		fmt.Fprintf(b, "\n**%s**\n", s.Failed)
	}
	if len(s.Rows) == 0 {
		return // it has never been measured
	}
	u := s.Setup
	fmt.Fprintf(b, "\n<sub>%s, %s, %d cores, %.0f %% idle before, %s, revision %s, %d s%s: `%s`</sub>\n",
		u.Date, u.Machine, u.Cores, 100*u.Idle, u.Software, u.Revision, u.Seconds, u.calmness(), u.Command)
}

// calmness says how much the host took away. Sections of earlier times do not know.
func (u Setup) calmness() string {
	if u.Spans == 0 {
		return ""
	}
	text := fmt.Sprintf(", at most %.1f %% of the cores' time stolen in each of %d spans", 100*u.Stolen, u.Spans)
	if u.Again > 0 {
		text += fmt.Sprintf(" (%d measured again)", u.Again)
	}
	return text
}

// tables are the parts of the section, each with the columns and rows that have figures.
func tables(s *Section) string {
	var b strings.Builder
	for rest := s.Columns; len(rest) > 0; {
		part, end := rest[0].Part, len(rest)
		if i := slices.IndexFunc(rest, func(c Column) bool { return c.Part != part }); i >= 0 {
			end = i
		}
		columns := slices.DeleteFunc(slices.Clone(rest[:end]), func(c Column) bool {
			return !slices.ContainsFunc(s.Rows, func(r Row) bool { return r.filled([]Column{c}) })
		})
		rest = rest[end:]
		if len(columns) == 0 {
			continue
		}
		if b.Len() > 0 {
			b.WriteString("\n")
		}
		if part != "" {
			b.WriteString(part + ":\n\n")
		}
		writeTable(&b, columns, s.Rows)
	}
	return b.String()
}

func (r Row) filled(columns []Column) bool {
	return slices.ContainsFunc(columns, func(c Column) bool { _, ok := r.Values[c.Key]; return ok })
}

// writeTable names a case once.
func writeTable(b *strings.Builder, columns []Column, rows []Row) {
	b.WriteString("| case | |")
	for _, c := range columns {
		b.WriteString(" " + c.Head + " |")
	}
	b.WriteString("\n|---|---|" + strings.Repeat("--:|", len(columns)) + "\n")
	last := ""
	for _, r := range rows {
		if !r.filled(columns) {
			continue
		}
		name := r.Case
		if name == last {
			name = ""
		}
		last = r.Case
		fmt.Fprintf(b, "| %s | %s |", name, r.Peer)
		for _, c := range columns {
			if v, ok := r.Values[c.Key]; ok {
				b.WriteString(" " + number(v) + " |")
			} else {
				b.WriteString(" |")
			}
		}
		b.WriteString("\n")
	}
}

// Table is the section as text for a terminal.
func (s *Section) Table() string {
	var b strings.Builder
	fmt.Fprintf(&b, "\n%s\n\n%s", s.Title, tables(s))
	if calm := s.Setup.calmness(); calm != "" {
		b.WriteString(strings.TrimPrefix(calm, ", ") + "\n")
	}
	for _, t := range s.Targets {
		held := "SHORT"
		if t.Held {
			held = "held"
		}
		fmt.Fprintf(&b, "%-5s  %s: %s, wanted %s\n", held, t.What, t.measured(), t.Want)
	}
	return b.String()
}
