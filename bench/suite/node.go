package suite

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"syscall"
	"time"
)

// node is a running sluice.
type node struct {
	server
	cmd   *exec.Cmd
	log   *os.File
	admin string
	ended chan struct{}
}

// startNode runs a node as a process of its own on the bus and the store, with these settings (key=value) beside the usual ones, and waits until it is
// ready.
func (l *Lab) startNode(ctx context.Context, settings ...string) (*node, error) {
	name := l.name() + "-node"
	log, err := os.Create(l.file(name + ".log"))
	if err != nil {
		return nil, err
	}
	cmd := exec.Command(l.binary, "serve", "--set", "node.id="+name, "--set", "bus.url="+l.busURL, "--set", "sessions.url="+l.storeURL,
		"--set", "mqtt.tcp.listen=127.0.0.1:0", "--set", "mqtt.tls.listen=127.0.0.1:0", "--set", "mqtt.tls.cert="+l.certFile, "--set", "mqtt.tls.key="+l.keyFile,
		"--set", "admin.listen=127.0.0.1:0", "--set", "log.format=json", "--set", "retained.queue=off", "--set", "auth.methods=anonymous", "--set", "access.default=all")
	for _, setting := range settings {
		cmd.Args = append(cmd.Args, "--set", setting)
	}
	cmd.Stdout, cmd.Stderr = log, log
	// Should this process be killed, its nodes go with it.
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		return nil, errors.Join(err, log.Close())
	}
	n := &node{cmd: cmd, log: log, ended: make(chan struct{})}
	go func() {
		_ = cmd.Wait()
		close(n.ended)
	}()
	if err := l.await(ctx, readyWait, "the node is ready", func() error { return n.ready(ctx) }); err != nil {
		content, _ := os.ReadFile(log.Name())
		n.kill()
		return nil, fmt.Errorf("%w\n%s", err, content)
	}
	return n, nil
}

// ready looks for the addresses in the log and then asks the node.
func (n *node) ready(ctx context.Context) error {
	select {
	case <-n.ended:
		return errors.New("it has ended")
	default:
	}
	if n.admin == "" {
		if err := n.findAddresses(); err != nil {
			return err
		}
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+n.admin+"/readyz", nil)
	if err != nil {
		return err
	}
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		return err
	}
	defer http.DefaultClient.CloseIdleConnections()
	_ = answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		return fmt.Errorf("/readyz answers %s", answer.Status)
	}
	return nil
}

func (n *node) findAddresses() error {
	f, err := os.Open(n.log.Name())
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }()
	for lines := bufio.NewScanner(f); lines.Scan(); {
		var line struct{ Msg, MQTT, MQTTS, Admin string }
		if json.Unmarshal(lines.Bytes(), &line) == nil && line.Msg == "serving" {
			n.plain, n.tls, n.admin = line.MQTT, line.MQTTS, line.Admin
			return nil
		}
	}
	return errors.New("it does not say yet where it serves")
}

func (n *node) pid() int { return n.cmd.Process.Pid }

// startNodes starts so many with the same settings. stop ends them.
func (l *Lab) startNodes(ctx context.Context, n int, settings ...string) (nodes []*node, stop func(), err error) {
	stop = func() {
		for _, n := range nodes {
			n.stop()
		}
	}
	for range n {
		one, err := l.startNode(ctx, settings...)
		if err != nil {
			stop()
			return nil, nil, err
		}
		nodes = append(nodes, one)
	}
	return nodes, stop, nil
}

func pids(nodes []*node) (found []int) {
	for _, n := range nodes {
		found = append(found, n.pid())
	}
	return found
}

// stop ends the node in order.
func (n *node) stop() {
	_ = n.cmd.Process.Signal(syscall.SIGTERM)
	limit := time.NewTimer(stopWait)
	defer limit.Stop()
	select {
	case <-n.ended:
	case <-limit.C:
	}
	n.kill()
}

// kill ends the node at once, if it still runs.
func (n *node) kill() {
	_ = n.cmd.Process.Kill()
	<-n.ended
	_ = n.log.Close()
}
