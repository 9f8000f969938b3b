package report

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// Section is what one scenario found.
type Section struct {
	Name    string   `json:"name"`  // file name of the scenario
	Title   string   `json:"title"` // heading
	Text    []string `json:"text"`  // paragraphs: what is measured and how to read it
	Setup   Setup    `json:"setup"`
	Columns []Column `json:"columns"`
	Rows    []Row    `json:"rows"`
	Targets []Target `json:"targets,omitempty"`
	Plots   []Plot   `json:"plots,omitempty"`
	// Failed tells of a later run that found nothing: the figures are of the last one that did.
	Failed string `json:"failed,omitempty"`
}

// Setup is where and how a section was measured.
type Setup struct {
	Date     string `json:"date"`
	Revision string `json:"revision"` // of this project
	Command  string `json:"command"`
	Machine  string `json:"machine"`
	Cores    int    `json:"cores"`
	Software string `json:"software"` // versions of Go, RabbitMQ, Redis, mosquitto
	Seconds  int    `json:"seconds"`  // the scenario took
	// Idle is the share of the cores, 0 to 1, that nobody used just before.
	Idle float64 `json:"idle"`
	// Spans is how many measured spans the figures are made of, Again how many were measured again because the host took the machine away, Stolen the largest share of the
	// cores' time, 0 to 1, that it took in a span that counts.
	Spans  int     `json:"spans,omitempty"`
	Again  int     `json:"again,omitempty"`
	Stolen float64 `json:"stolen,omitempty"`
	// Settings tell whether a stored section is that of the run that is asked for.
	Settings string `json:"settings"`
}

// Column is one figure of the table. Columns with the same Part stand in a table of their own under that heading.
type Column struct {
	Key  string `json:"key"`
	Head string `json:"head"` // with the unit
	Part string `json:"part,omitempty"`
}

// Row is one contender in one case. What is not measured is not in Values.
type Row struct {
	Case   string             `json:"case"`
	Peer   string             `json:"peer"`
	Values map[string]float64 `json:"values"`
}

// Set notes a figure. What is not a number is not a figure: JSON has no way to say it.
func (r *Row) Set(key string, value float64) {
	if math.IsNaN(value) || math.IsInf(value, 0) {
		return
	}
	if r.Values == nil {
		r.Values = map[string]float64{}
	}
	r.Values[key] = value
}

// Find is the row of a contender in a case, nil if there is none.
func (s *Section) Find(name, peer string) *Row {
	for i := range s.Rows {
		if s.Rows[i].Case == name && s.Rows[i].Peer == peer {
			return &s.Rows[i]
		}
	}
	return nil
}

// Target is something that the project has promised to reach.
type Target struct {
	// Key names it for good, for the reasons that people write down: see Reasons.
	Key  string `json:"key"`
	What string `json:"what"`
	Want string `json:"want"`
	Got  string `json:"got"`
	// Where is the case of which Got is, as "with 10 devices", if the promise is for several and this is the worst of them.
	Where string `json:"where,omitempty"`
	Held  bool   `json:"held"`
}

// AtLeast and AtMost judge a figure.
func AtLeast(key, what string, want, got float64) Target {
	return Target{Key: key, What: what, Want: "at least " + number(want), Got: number(got), Held: got >= want}
}

// In names the worst of several cases.
func (t Target) In(where string) Target {
	t.Where = where
	return t
}

// measured is what was found, and where.
func (t Target) measured() string {
	if t.Where == "" {
		return t.Got
	}
	return t.Got + " " + t.Where
}

// AtMost is the other direction.
func AtMost(key, what string, want, got float64) Target {
	return Target{Key: key, What: what, Want: "at most " + number(want), Got: number(got), Held: got <= want}
}

// Plot shows some of the figures.
type Plot struct {
	File   string   `json:"file"` // without extension, unique in the page
	Title  string   `json:"title"`
	XLabel string   `json:"x_label"`
	YLabel string   `json:"y_label"`
	Lines  bool     `json:"lines,omitempty"` // else bars
	X      []string `json:"x"`
	Series []Series `json:"series"`
}

// Series is one contender's figures, one for each X. Missing ones are negative.
type Series struct {
	Name string    `json:"name"`
	Y    []float64 `json:"y"`
}

// number writes a figure with three digits that count.
func number(v float64) string {
	switch a := math.Abs(v); {
	case a >= 100_000:
		return fmt.Sprintf("%.0fk", v/1000)
	case a >= 10_000:
		return fmt.Sprintf("%.1fk", v/1000)
	case v == math.Trunc(v):
		return strconv.Itoa(int(v))
	case a >= 100:
		return fmt.Sprintf("%.0f", v)
	case a >= 10:
		return fmt.Sprintf("%.1f", v)
	}
	return fmt.Sprintf("%.2f", v)
}

// Save writes the section into folder, for a later Load or page.
func (s *Section) Save(folder string) error {
	content, err := json.MarshalIndent(s, "", "\t")
	if err != nil {
		return err
	}
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return err
	}
	// A run that is interrupted leaves the old file or the new one, never half of one.
	temporary := filepath.Join(folder, s.Name+".new")
	if err := os.WriteFile(temporary, append(content, '\n'), 0o644); err != nil {
		return err
	}
	if err := os.Rename(temporary, filepath.Join(folder, s.Name+".json")); err != nil {
		return err
	}
	if err := os.Remove(failureFile(folder, s.Name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

func failureFile(folder, name string) string { return filepath.Join(folder, name+".failed") }

// SaveFailure keeps a sentence about a run that failed, until the next Save. What was found before stays.
func SaveFailure(folder, name, sentence string) error {
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return err
	}
	return os.WriteFile(failureFile(folder, name), []byte(sentence+"\n"), 0o644)
}

// LoadFailure gives that sentence, or nothing if the last run did not fail.
func LoadFailure(folder, name string) (string, error) {
	content, err := os.ReadFile(failureFile(folder, name))
	if errors.Is(err, fs.ErrNotExist) {
		return "", nil
	}
	return strings.TrimSpace(string(content)), err
}

// Load reads a section. Without the file the error is fs.ErrNotExist.
func Load(folder, name string) (*Section, error) {
	file := filepath.Join(folder, name+".json")
	content, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	s := &Section{}
	if err := json.Unmarshal(content, s); err != nil {
		return nil, fmt.Errorf("%s: %w; remove it", file, err)
	}
	return s, nil
}
