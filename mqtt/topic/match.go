package topic

import "strings"

// Match reports whether a topic filter matches a topic name (MQTT 5, 4.7.1). A filter that begins with a wildcard does not match
// a name that begins with $ [MQTT-4.7.2-1]. Both must be valid; for a shared subscription pass the rest of Shared. Letters
// are compared byte by byte, without Unicode normalization [MQTT-4.7.3-4]. It does not allocate.
func Match(filter, name string) bool {
	if hidden(name) && filter != "" && (filter[0] == '+' || filter[0] == '#') {
		return false
	}
	return matchLevels(filter, name)
}

// hidden reports whether wildcards in the first level must not match the name [MQTT-4.7.2-1].
func hidden(name string) bool { return name != "" && name[0] == '$' }

// matchLevels is Match without the $ rule, so that it also serves the rest of a filter whose first levels have matched.
func matchLevels(filter, name string) bool {
	for {
		want, filterRest, filterMore := strings.Cut(filter, "/")
		if want == "#" {
			return true
		}
		have, nameRest, nameMore := strings.Cut(name, "/")
		if want != "+" && want != have {
			return false
		}
		if !nameMore {
			// "sport/#" also matches "sport", its parent level (MQTT 5, 4.7.1.2).
			return !filterMore || filterRest == "#"
		}
		if !filterMore {
			return false
		}
		filter, name = filterRest, nameRest
	}
}
