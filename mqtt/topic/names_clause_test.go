package topic_test

import (
	"testing"

	"sluice/mqtt/topic"
)

// Names that look or mean the same are matched as they are written: nothing is normalized [MQTT-4.7.3-4].
func TestNoNormalization(t *testing.T) {
	same := [][]string{
		{"caf\u00E9", "cafe\u0301"},            // é composed and decomposed
		{"\u212B", "\u00C5", "A\u030A"},        // Angstrom sign, Å, A with a ring
		{"\uFB01", "fi"},                       // a ligature
		{"a", "A", "\uFF21"},                   // case and width
		{"x", "\uFEFFx", "x\uFEFF", "\u200Bx"}, // characters that do not show
		{"a/b", "a//b", "/a/b", "a/b/", "a/./b", "a%2Fb"},
	}
	var trie topic.Trie[string]
	for _, names := range same {
		for _, name := range names {
			trie.Add(name, name)
			trie.Add("pre/"+name+"/+", "pre/"+name)
		}
	}
	for _, names := range same {
		for _, name := range names {
			for _, filter := range names {
				if got := topic.Match(filter, name); got != (filter == name) {
					t.Errorf("Match(%+q, %+q) = %t", filter, name, got)
				}
			}
			if got := trie.Match(nil, name); len(got) != 1 || got[0] != name {
				t.Errorf("the trie gives %+q for %+q", got, name)
			}
			if got := trie.Match(nil, "pre/"+name+"/x"); len(got) != 1 || got[0] != "pre/"+name {
				t.Errorf("the trie gives %+q for a level below %+q", got, name)
			}
		}
	}
}
