// Canary plants defects in the production code, or in the simulation's model of it, one at a time, and expects the simulation to find each within a stated number of seeds. The
// files on disk are not touched: go's -overlay shows the compiler a changed copy.
//
// It fails when a defect is not found, when the text to change is no longer in the source (then the defect has to be written anew), and when the
// simulation fails without any defect: a canary that dies in clean air shows nothing.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// patience bounds one run; the slowest takes a few seconds.
const patience = 3 * time.Minute

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "canary:", err)
		os.Exit(1)
	}
}

func run() error {
	root, err := moduleRoot()
	if err != nil {
		return err
	}
	work, err := os.MkdirTemp("", "canary")
	if err != nil {
		return err
	}
	defer os.RemoveAll(work)
	most := 0
	for _, d := range defects {
		most = max(most, d.seeds)
	}
	if failed, text, err := simulate(root, "", most); err != nil || failed {
		return errors.Join(fmt.Errorf("the simulation is not green without a defect; nothing can be shown:\n%s", text), err)
	}
	fmt.Printf("%-58s green in %d seeds\n", "no defect", most)
	var missed []error
	for i, d := range defects {
		found, err := d.find(root, filepath.Join(work, strconv.Itoa(i)))
		if err != nil {
			missed = append(missed, fmt.Errorf("%s: %w", d.name, err))
			found = "NOT FOUND"
		}
		fmt.Printf("%-58s %s\n", d.name, found)
	}
	return errors.Join(missed...)
}

func moduleRoot() (string, error) {
	out, err := exec.Command("go", "env", "GOMOD").Output()
	mod := strings.TrimSpace(string(out))
	if err != nil || mod == "" || mod == os.DevNull {
		return "", errors.Join(errors.New("run it inside the module"), err)
	}
	return filepath.Dir(mod), nil
}

// violation is a line of the simulation's test: the seed and what is wrong.
var violation = regexp.MustCompile(`seed (\d+): (.*)`)

// find plants the defect and says where it was found.
func (d defect) find(root, work string) (string, error) {
	overlay, err := d.plant(root, work)
	if err != nil {
		return "", err
	}
	failed, text, err := simulate(root, overlay, d.seeds)
	if err != nil {
		return "", err
	}
	if !failed {
		return "", fmt.Errorf("%d seeds are green with it", d.seeds)
	}
	m := violation.FindStringSubmatch(text)
	if m == nil {
		return "", fmt.Errorf("the simulation failed, but shows no violation:\n%s", text)
	}
	return fmt.Sprintf("seed %s of %d: %.110s", m[1], d.seeds, m[2]), nil
}

// plant writes the changed copy and the overlay that puts it in place.
func (d defect) plant(root, work string) (overlay string, err error) {
	original := filepath.Join(root, filepath.FromSlash(d.file))
	source, err := os.ReadFile(original)
	if err != nil {
		return "", err
	}
	text := string(source)
	for _, e := range d.edits {
		if n := strings.Count(text, e.old); n != 1 {
			return "", fmt.Errorf("%s holds the text to change %d times, once is needed; write the defect anew in gateway/sim/canary/defects.go:\n%s", d.file, n, e.old)
		}
		text = strings.Replace(text, e.old, e.new, 1)
	}
	if err := os.MkdirAll(work, 0o700); err != nil {
		return "", err
	}
	changed := filepath.Join(work, filepath.Base(d.file))
	if err := os.WriteFile(changed, []byte(text), 0o600); err != nil {
		return "", err
	}
	list, err := json.Marshal(map[string]map[string]string{"Replace": {original: changed}})
	if err != nil {
		return "", err
	}
	overlay = filepath.Join(work, "overlay.json")
	return overlay, os.WriteFile(overlay, list, 0o600)
}

// simulate runs the seeds and reports whether the test failed; an error means that it could not be built or did not end.
func simulate(root, overlay string, seeds int) (failed bool, text string, err error) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	args := []string{"test", "-count=1", "-run", "^TestSeeds$"}
	if overlay != "" {
		args = append(args, "-overlay", overlay)
	}
	c := exec.CommandContext(ctx, "go", append(args, "./gateway/sim")...)
	c.Dir = root
	c.Env = append(os.Environ(), "SEEDS="+strconv.Itoa(seeds), "SEED=")
	out, err := c.CombinedOutput()
	text = string(out)
	if ctx.Err() != nil {
		return false, text, fmt.Errorf("no end within %v", patience)
	}
	if strings.Contains(text, "[build failed]") || strings.Contains(text, "[setup failed]") {
		return false, text, fmt.Errorf("it does not build:\n%s", text)
	}
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		return false, text, err
	}
	return err != nil, text, nil
}
