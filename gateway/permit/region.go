package permit

import (
	"strings"

	"sluice/mqtt/topic"
)

// A topic filter is a set of names. What two filters have in common is a filter again, or nothing: level by level the one that is no wildcard counts. That makes
// it possible to decide about all names that a filter matches by looking at a few of them.

// common gives the filter of the names that both filters match.
func common(a, b string) (filter string, ok bool) {
	if !topic.Overlap(a, b) {
		return "", false
	}
	var out strings.Builder
	for {
		levelA, restA, moreA := strings.Cut(a, "/")
		levelB, restB, moreB := strings.Cut(b, "/")
		switch {
		case levelA == "#":
			out.WriteString(b)
			return out.String(), true
		case levelB == "#":
			out.WriteString(a)
			return out.String(), true
		case levelA == "+":
			out.WriteString(levelB)
		default:
			out.WriteString(levelA)
		}
		if !moreA || !moreB {
			return out.String(), true // "a" and "a/#" have "a" in common
		}
		out.WriteByte('/')
		a, b = restA, restB
	}
}

// fresh is a level that no filter names: NUL is in none [MQTT-4.7.3-2]. So it is matched by wildcards only, and whatever filters match a name with it
// also match the name with any other text in its place.
const fresh = "\x00"

// reaches reports whether filter matches a name that none of the others match. levels bounds the levels of the others. A name with fresh levels is matched
// by the fewest, so it is enough to look at one of each length, up to where only the filters with # go on matching.
func reaches(filter string, others []entry, levels int) bool {
	var name strings.Builder
	length, open := 0, false
	for level := range strings.SplitSeq(filter, "/") {
		if open = level == "#"; open {
			break
		}
		if length > 0 {
			name.WriteByte('/')
		}
		if level == "+" {
			level = fresh
		}
		name.WriteString(level)
		length++
	}
	if name.Len() > 0 && !matchedByAny(others, name.String()) { // no name is empty [MQTT-4.7.3-1]
		return true
	}
	for most := max(length, levels) + 1; open && length < most; length++ {
		if length > 0 {
			name.WriteByte('/')
		}
		name.WriteString(fresh)
		if !matchedByAny(others, name.String()) {
			return true
		}
	}
	return false
}

func matchedByAny(entries []entry, name string) bool {
	for i := range entries {
		if topic.Match(entries[i].filter, name) {
			return true
		}
	}
	return false
}
