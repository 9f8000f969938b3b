package rig

import (
	"bufio"
	"errors"
	"io"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// Process is a child process whose output is read line by line. It is killed with the test if it still runs.
type Process struct {
	t    testing.TB
	name string
	cmd  *exec.Cmd

	mu      sync.Mutex
	out     []string      // lines of the standard output
	err     []string      // lines of the standard error
	changed chan struct{} // closed and replaced at each line and at the end
	ended   bool
	code    int
}

// Run starts a process with the environment of the tests.
func Run(t testing.TB, path string, args ...string) *Process {
	t.Helper()
	return RunCommand(t, exec.Command(path, args...))
}

// RunCommand starts cmd, whose outputs must not be set.
func RunCommand(t testing.TB, cmd *exec.Cmd) *Process {
	t.Helper()
	p := &Process{t: t, name: cmd.Path[strings.LastIndexByte(cmd.Path, '/')+1:], cmd: cmd, changed: make(chan struct{})}
	// A group of its own: what a shell has started ends with it, and lets go of our pipes.
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	out, err := p.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	errs, err := p.cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := p.cmd.Start(); err != nil {
		t.Fatalf("starting %s: %v", p.name, err)
	}
	var readers sync.WaitGroup
	readers.Go(func() { p.read(out, &p.out) })
	readers.Go(func() { p.read(errs, &p.err) })
	done := make(chan struct{})
	go func() {
		defer close(done)
		readers.Wait()
		p.reap()
	}()
	t.Cleanup(func() {
		p.kill()
		<-done
		if t.Failed() && p.Output() != "" {
			t.Logf("%s printed:\n%s", p.name, clip(p.Output()))
		}
	})
	return p
}

// Kill ends it at once, as a crash does.
func (p *Process) Kill() { p.kill() }

// kill ends the group. Once all has ended, its number may be somebody else's.
func (p *Process) kill() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.ended {
		_ = syscall.Kill(-p.cmd.Process.Pid, syscall.SIGKILL)
	}
}

func (p *Process) read(r io.Reader, to *[]string) {
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, lineMax)
	for lines.Scan() {
		p.change(func() { *to = append(*to, lines.Text()) })
	}
	if err := lines.Err(); err != nil {
		p.change(func() { *to = append(*to, "(reading this output failed: "+err.Error()+")") })
		_, _ = io.Copy(io.Discard, r)
	}
}

func (p *Process) reap() {
	err := p.cmd.Wait()
	code := 0
	if exit := (*exec.ExitError)(nil); errors.As(err, &exit) {
		code = exit.ExitCode()
	} else if err != nil {
		code = -1
	}
	p.change(func() { p.ended, p.code = true, code })
}

func (p *Process) change(f func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	f()
	close(p.changed)
	p.changed = make(chan struct{})
}

// await waits until look finds what it wants. look is called with the lock held. The end of the process ends the wait too.
func (p *Process) await(what string, look func() bool) {
	p.t.Helper()
	limit := time.NewTimer(Patience)
	defer limit.Stop()
	for {
		p.mu.Lock()
		found, ended, changed := look(), p.ended, p.changed
		p.mu.Unlock()
		if found {
			return
		}
		if ended {
			p.t.Fatalf("%s ended without %s; it printed:\n%s", p.name, what, clip(p.Output()))
		}
		select {
		case <-changed:
		case <-limit.C:
			p.t.Fatalf("%s: no %s in %v; it printed:\n%s", p.name, what, Patience, clip(p.Output()))
		}
	}
}

// Line waits for a line with part in it, on either output, and returns it.
func (p *Process) Line(part string) string {
	p.t.Helper()
	return p.Lines(part, 1)[0]
}

// Lines waits for n lines with part in them and returns all there are by then, those of the standard output first.
func (p *Process) Lines(part string, n int) (found []string) {
	p.t.Helper()
	p.await("enough lines with "+part, func() bool {
		found = append(matching(p.out, part), matching(p.err, part)...)
		return len(found) >= n
	})
	return found
}

// Has reports whether a line with part in it has come already.
func (p *Process) Has(part string) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(matching(p.out, part))+len(matching(p.err, part)) > 0
}

func matching(lines []string, part string) (found []string) {
	for _, l := range lines {
		if strings.Contains(l, part) {
			found = append(found, l)
		}
	}
	return found
}

// Wait waits for the end of the process and returns its exit status.
func (p *Process) Wait() int {
	p.t.Helper()
	p.await("its end", func() bool { return p.ended })
	return p.code
}

// Succeed waits for the end of the process and fails the test unless the status is 0.
func (p *Process) Succeed() {
	p.t.Helper()
	if code := p.Wait(); code != 0 {
		p.t.Fatalf("%s ended with status %d; it printed:\n%s", p.name, code, clip(p.Output()))
	}
}

// Terminate asks the process to end (SIGTERM). Wait tells when it has.
func (p *Process) Terminate() {
	p.t.Helper()
	p.Signal(syscall.SIGTERM)
}

// Signal sends a signal to the process and all it has started.
func (p *Process) Signal(s syscall.Signal) {
	p.t.Helper()
	if err := syscall.Kill(-p.cmd.Process.Pid, s); err != nil {
		p.t.Fatalf("%s: %v", p.name, err)
	}
}

// Stdout and Stderr are what has been printed so far.
func (p *Process) Stdout() string { return p.text(&p.out) }

// Stderr is the standard error so far.
func (p *Process) Stderr() string { return p.text(&p.err) }

// Output is both outputs.
func (p *Process) Output() string { return p.Stdout() + p.Stderr() }

func (p *Process) text(lines *[]string) string {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(*lines) == 0 {
		return ""
	}
	return strings.Join(*lines, "\n") + "\n"
}

// clip shortens the lines of an output for an error message.
func clip(s string) string {
	const most = 200
	lines := strings.Split(s, "\n")
	for i, l := range lines {
		if len(l) > most {
			lines[i] = l[:most] + "..."
		}
	}
	return strings.Join(lines, "\n")
}
