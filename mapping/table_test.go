package mapping_test

import (
	"go/parser"
	"go/token"
	"regexp"
	"slices"
	"strings"
	"testing"
)

var columns = regexp.MustCompile(`\s{2,}|\t+`)

// tables reads the tables of the package comment: for each, by the heading of its first column, the names of its rows. A row is named by its first
// column, or by the second where the first is "-". A line whose first column is empty belongs to the row above.
func tables(t *testing.T) map[string][]string {
	t.Helper()
	file, err := parser.ParseFile(token.NewFileSet(), "doc.go", nil, parser.ParseComments|parser.PackageClauseOnly)
	if err != nil {
		t.Fatal(err)
	}
	all := make(map[string][]string)
	heading := ""
	for line := range strings.Lines(file.Doc.Text()) {
		row, indented := strings.CutPrefix(strings.TrimRight(line, "\n"), "\t")
		if !indented {
			heading = ""
			continue
		}
		cells := columns.Split(strings.TrimSpace(row), -1)
		switch {
		case heading == "":
			heading = cells[0]
		case strings.HasPrefix(row, "       "): // goes on in a later column
		case cells[0] == "-":
			all[heading] = append(all[heading], cells[1])
		default:
			all[heading] = append(all[heading], cells[0])
		}
	}
	return all
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
		rows := all[heading]
		if len(rows) == 0 {
			t.Errorf("the package comment has no table %q", heading)
		}
		for _, row := range rows {
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
		if rows := tables(t)[heading]; !slices.Contains(rows, row) {
			t.Errorf("the table %q lacks %q: %q", heading, row, rows)
		}
	}
}
