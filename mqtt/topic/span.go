package topic

import "strings"

// Span gives the part of all names, in byte order, that the names matching a filter lie in: from <= name < to. An empty to is no bound. Names
// in between need not match. A filter without wildcards gives its own name alone.
func Span(filter string) (from, to string) {
	end := strings.IndexAny(filter, "+#")
	if end < 0 {
		return filter, filter + "\x00"
	}
	if end == 0 {
		return "", ""
	}
	levels := filter[:end-1] // without the slash
	to = levels + "0"        // '0' comes after '/'
	if filter[end] == '#' {
		return levels, to // the parent level matches as well
	}
	return levels + "/", to
}
