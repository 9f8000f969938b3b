package main

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

var (
	mdLink    = regexp.MustCompile(`\]\(([^)\s]+)\)`)
	mdHeading = regexp.MustCompile(`(?m)^#+ (.+)$`)
	notInSlug = regexp.MustCompile(`[^a-z0-9 _-]`)
)

// Every link of a page leads to a file of this repository that is there, and to a heading that it has.
func TestLinksOfTheDocs(t *testing.T) {
	const root = "../.."
	pages, err := filepath.Glob(root + "/docs/*.md")
	if err != nil {
		t.Fatal(err)
	}
	own, err := filepath.Glob(root + "/*.md")
	if err != nil {
		t.Fatal(err)
	}
	links := 0
	for _, page := range append(pages, own...) {
		for _, m := range mdLink.FindAllStringSubmatch(content(t, page), -1) {
			if strings.Contains(m[1], "://") {
				continue
			}
			links++
			file, heading, _ := strings.Cut(m[1], "#")
			target := page
			if file != "" {
				target = filepath.Join(filepath.Dir(page), file)
			}
			if _, err := os.Stat(target); err != nil {
				t.Errorf("%s: (%s): there is no such file", page, m[1])
				continue
			}
			if heading != "" && !hasHeading(content(t, target), heading) {
				t.Errorf("%s: (%s): there is no such heading", page, m[1])
			}
		}
	}
	if links < 100 {
		t.Errorf("%d links were found: too few to be all", links)
	}
}

// hasHeading looks for a heading by the name that a code host's anchors have: small letters, hyphens for spaces, nothing else but letters and digits.
func hasHeading(text, anchor string) bool {
	for _, m := range mdHeading.FindAllStringSubmatch(text, -1) {
		if strings.ReplaceAll(notInSlug.ReplaceAllString(strings.ToLower(m[1]), ""), " ", "-") == anchor {
			return true
		}
	}
	return false
}
