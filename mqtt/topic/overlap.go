package topic

import "strings"

// Overlap reports whether some topic name matches both filters. They must be valid; for shared subscriptions pass the rest of Shared. It does not
// allocate.
func Overlap(a, b string) bool {
	if hidden(a) != hidden(b) && (wildFirst(a) || wildFirst(b)) {
		return false // [MQTT-4.7.2-1]
	}
	for {
		levelA, restA, moreA := strings.Cut(a, "/")
		levelB, restB, moreB := strings.Cut(b, "/")
		switch {
		case levelA == "#" || levelB == "#":
			return true
		case levelA != levelB && levelA != "+" && levelB != "+":
			return false
		case !moreA || !moreB:
			// "sport/#" also matches "sport", its parent level (MQTT 5, 4.7.1.2).
			return moreA == moreB || moreA && restA == "#" || moreB && restB == "#"
		}
		a, b = restA, restB
	}
}

func wildFirst(filter string) bool { return filter != "" && (filter[0] == '+' || filter[0] == '#') }
