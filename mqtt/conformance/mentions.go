package conformance

import (
	"bytes"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// mention matches the number of a statement in a text. A statement of 3.1.1 has its version before it. The standard misprints two numbers of
// 3.1.1, with a dash for a dot and a dot for a dash: both spellings count.
var mention = regexp.MustCompile(`(3\.1\.1 )?MQTT-(\d+)[.-](\d+)\.(\d+)[.-](\d+)`)

// scanned are the files in which statements are mentioned, by the ends of their names.
var scanned = []string{".go", ".md", ".txt", ".lua", ".golden", ".yml", ".yaml", ".js", ".py"}

// Mentions looks for mentions of statements in the files below root and gives a sentence for each that does not exist in its version.
func Mentions(root string, v5, v311 []string) (wrong []string, count int, err error) {
	err = filepath.WalkDir(root, func(p string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if name := d.Name(); d.IsDir() {
			if p != root && (strings.HasPrefix(name, ".") || name == "bin" || name == "node_modules") {
				return filepath.SkipDir
			}
			return nil
		}
		if !slices.Contains(scanned, filepath.Ext(p)) {
			return nil
		}
		text, err := os.ReadFile(p)
		if err != nil {
			return err
		}
		if !bytes.Contains(text, []byte("MQTT-")) {
			return nil
		}
		rel, err := filepath.Rel(root, p)
		if err != nil {
			return err
		}
		found, n := mentionsIn(filepath.ToSlash(rel), string(text), v5, v311)
		wrong, count = append(wrong, found...), count+n
		return nil
	})
	return wrong, count, err
}

func mentionsIn(name, text string, v5, v311 []string) (wrong []string, count int) {
	for i, line := range strings.Split(text, "\n") {
		for _, m := range mention.FindAllStringSubmatch(line, -1) {
			number := fmt.Sprintf("%s.%s.%s-%s", m[2], m[3], m[4], m[5])
			count++
			switch {
			case m[1] == "" && !slices.Contains(v5, number):
				hint := ""
				if slices.Contains(v311, number) {
					hint = "; 3.1.1 has: is its version missing before it?"
				}
				wrong = append(wrong, fmt.Sprintf("%s:%d: MQTT 5.0 has no statement %s%s", name, i+1, number, hint))
			case m[1] != "" && !slices.Contains(v311, number):
				wrong = append(wrong, fmt.Sprintf("%s:%d: MQTT 3.1.1 has no statement %s", name, i+1, number))
			}
		}
	}
	return wrong, count
}
