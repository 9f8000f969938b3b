package mapping_test

import (
	"fmt"
	"go/parser"
	"go/token"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
)

var columns = regexp.MustCompile(`\s{2,}`)

// part leads the name of a row that is about a part of the row above.
const part = "... "

// tables reads the tables of the package comment: for each, by the heading of its first column, its rows with their cells, the heading first. A line whose
// first column is empty goes on with the last cell of the row above.
func tables(t *testing.T) map[string][][]string {
	t.Helper()
	file, err := parser.ParseFile(token.NewFileSet(), "doc.go", nil, parser.ParseComments|parser.PackageClauseOnly)
	if err != nil {
		t.Fatal(err)
	}
	all := make(map[string][][]string)
	heading := ""
	for line := range strings.Lines(file.Doc.Text()) {
		row, indented := strings.CutPrefix(strings.TrimRight(line, "\n"), "\t")
		if !indented {
			heading = ""
			continue
		}
		cells := columns.Split(strings.TrimSpace(row), -1)
		if heading == "" {
			heading = cells[0]
		}
		if rows := all[heading]; strings.HasPrefix(row, "       ") {
			last := rows[len(rows)-1]
			last[len(last)-1] += " " + strings.Join(cells, " ")
			continue
		}
		if strings.HasPrefix(row, "  ") {
			cells[0] = part + cells[0]
		}
		all[heading] = append(all[heading], cells)
	}
	return all
}

// rowName is what a row is called: its first cell, or the second where the first is "-".
func rowName(cells []string) string {
	if cells[0] == "-" {
		return cells[1]
	}
	return strings.TrimPrefix(cells[0], part)
}

// documented holds the goldens against tables of the package comment. The title of a golden is the name of the row it proves, with " / " and what is
// special about it where a row has several. A row without golden is an error, and so is a golden without row.
func documented(t *testing.T, titles []string, headings ...string) {
	t.Helper()
	proved := make(map[string]bool, len(titles))
	for _, title := range titles {
		row, _, _ := strings.Cut(title, " / ")
		proved[row] = true
	}
	all := tables(t)
	for _, heading := range headings {
		if len(all[heading]) < 2 {
			t.Fatalf("the package comment has no table %q", heading)
		}
		for _, cells := range all[heading][1:] {
			row := rowName(cells)
			if !proved[row] {
				t.Errorf("the row %q of the table %q in doc.go has no golden; give one a title that begins with it", row, heading)
			}
			delete(proved, row)
		}
	}
	for row := range proved {
		t.Errorf("a golden proves %q, which is no row of the tables in doc.go", row)
	}
}

// The tables are found as they are written: were one missed, its rows would need no golden.
func TestTablesAreRead(t *testing.T) {
	for heading, row := range map[string]string{"MQTT": "User Property", "Route": "To, Subject", "AMQP": "amqp-value list, map, ..."} {
		if rows := tables(t)[heading]; !slices.ContainsFunc(rows, func(cells []string) bool { return cells[0] == row }) {
			t.Errorf("the table %q lacks %q: %q", heading, row, rows)
		}
	}
}

// docs/properties.md has the same tables, between comments that name them.
func TestTablesInTheDocumentation(t *testing.T) {
	const path = "../docs/properties.md"
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	page := string(content)
	for heading, rows := range tables(t) {
		begin, end := fmt.Sprintf("<!-- table %s, from mapping/doc.go -->\n", heading), fmt.Sprintf("<!-- end of table %s -->", heading)
		before, rest, found := strings.Cut(page, begin)
		written, after, ended := strings.Cut(rest, end)
		if !found || !ended {
			t.Errorf("%s lacks the comments %q and %q", path, begin, end)
			continue
		}
		want := markdown(rows)
		if *rewrite {
			page = before + begin + want + end + after
		} else if written != want {
			t.Errorf("the table %s in %s is not that of doc.go; go test ./mapping -run Documentation -rewrite", heading, path)
		}
	}
	if *rewrite {
		if err := os.WriteFile(path, []byte(page), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// markdown is a table as Markdown, three columns wide.
func markdown(rows [][]string) string {
	var b strings.Builder
	for i, cells := range rows {
		b.WriteString("|")
		for column := range 3 {
			cell := ""
			if column < len(cells) && cells[column] != "-" {
				cell = strings.NewReplacer("|", `\|`, "*", `\*`, "<", "&lt;", "_", `\_`).Replace(cells[column])
			}
			b.WriteString(" " + cell + " |")
		}
		b.WriteString("\n")
		if i == 0 {
			b.WriteString("|---|---|---|\n")
		}
	}
	return b.String()
}
