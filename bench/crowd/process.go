package crowd

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"syscall"
)

// variable in the environment asks a program to be a crowd.
const variable = "SLUICE_BENCH_CROWD"

// Asked reports whether this process was started to be a crowd: then it calls Serve and ends.
func Asked() bool { return os.Getenv(variable) != "" }

// answer is one line of a crowd's output.
type answer struct {
	Connected *Connected
	Result    *Result
	Fault     string
}

// Serve does the job that comes from in and gives the exit code of the process.
func Serve(in io.Reader, out io.Writer) int {
	// The end of the input is the end of the job, whenever it comes: nobody is there to tell then.
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	say := json.NewEncoder(out)
	if err := serve(ctx, cancel, bufio.NewReader(in), say); err != nil {
		_ = say.Encode(answer{Fault: err.Error()})
		return 1
	}
	return 0
}

func serve(ctx context.Context, cancel func(), in *bufio.Reader, say *json.Encoder) error {
	line, err := in.ReadBytes('\n')
	if err != nil {
		return fmt.Errorf("no job came: %w", err)
	}
	var j Job
	if err := json.Unmarshal(line, &j); err != nil {
		return fmt.Errorf("the job: %w", err)
	}
	begin := make(chan struct{})
	go func() {
		if _, err := in.ReadBytes('\n'); err == nil {
			close(begin)
			_, _ = in.ReadByte()
		}
		cancel()
	}()
	m, said, err := gather(ctx, j)
	if err != nil {
		return err
	}
	if err := say.Encode(answer{Connected: &said}); err != nil {
		return errors.Join(err, m.close())
	}
	select {
	case <-begin:
	case <-ctx.Done():
		return m.close()
	}
	r, err := m.hold(ctx, j)
	if err != nil {
		return errors.Join(err, m.close())
	}
	return say.Encode(answer{Result: &r})
}

// Process is a crowd that runs.
type Process struct {
	cmd *exec.Cmd
	in  io.WriteCloser
	out *json.Decoder
}

// Start runs program, which calls Serve if Asked, and waits until its devices are there. What it writes to standard error goes to errs.
func Start(ctx context.Context, program string, j Job, errs io.Writer) (_ *Process, said Connected, err error) {
	cmd := exec.CommandContext(ctx, program)
	cmd.Env, cmd.Stderr = append(os.Environ(), variable+"=1"), errs
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	p := &Process{cmd: cmd}
	if p.in, err = cmd.StdinPipe(); err != nil {
		return nil, said, err
	}
	pipe, err := cmd.StdoutPipe()
	if err != nil {
		return nil, said, err
	}
	p.out = json.NewDecoder(pipe)
	if err := cmd.Start(); err != nil {
		return nil, said, err
	}
	if err := json.NewEncoder(p.in).Encode(j); err != nil {
		return nil, said, errors.Join(err, p.Close())
	}
	a, err := p.read()
	if err == nil && a.Connected == nil {
		err = errors.New("the crowd does not say that it is connected")
	}
	if err != nil {
		return nil, said, errors.Join(err, p.Close())
	}
	return p, *a.Connected, nil
}

func (p *Process) read() (a answer, err error) {
	if err := p.out.Decode(&a); err != nil {
		return a, fmt.Errorf("the crowd has ended without a word: %w", err)
	}
	if a.Fault != "" {
		return a, fmt.Errorf("the crowd: %s", a.Fault)
	}
	return a, nil
}

// Hold begins the load and waits for its result.
func (p *Process) Hold() (Result, error) {
	if _, err := io.WriteString(p.in, "\n"); err != nil {
		return Result{}, fmt.Errorf("the crowd does not listen: %w", err)
	}
	a, err := p.read()
	if err == nil && a.Result == nil {
		err = errors.New("the crowd gives no result")
	}
	if err != nil {
		return Result{}, err
	}
	return *a.Result, nil
}

// Close lets the devices go, if they are still there, and waits for the end of the process. Its exit code says nothing that it has not said in words.
func (p *Process) Close() error {
	err := p.in.Close()
	var exit *exec.ExitError
	if wait := p.cmd.Wait(); wait != nil && !errors.As(wait, &exit) {
		err = errors.Join(err, wait)
	}
	return err
}
