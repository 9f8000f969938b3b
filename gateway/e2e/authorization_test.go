package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"sluice/gateway/e2e/rig"
	"sluice/mqtt/packet"
)

const (
	allowAll = "rules:\n- allow: all\n  do: [publish, subscribe]\n  topics: '#'\n"
	// hideSecret hides what is below a topic's secret/.
	hideSecret = "rules:\n- deny: secret\n  do: subscribe\n  topics: '+/secret/#'\n- allow: all\n  do: [publish, subscribe]\n  topics: '#'\n"
)

// policyFile writes a file for access.policy, and gives what replaces it in one step, as Kubernetes and careful editors do.
func policyFile(t *testing.T, rules string) (name string, replace func(rules string) error) {
	t.Helper()
	name = filepath.Join(t.TempDir(), "policy.yaml")
	replace = func(rules string) error {
		if err := os.WriteFile(name+".new", []byte(rules), 0o600); err != nil {
			return err
		}
		return os.Rename(name+".new", name)
	}
	if err := replace(rules); err != nil {
		t.Fatal(err)
	}
	return name, replace
}

// Rules are replaced while messages come. Of what was published after the node has said that the new ones are in force, nothing that they deny reaches the
// device, and all the while everything else does, in order.
func TestRulesAreReplacedUnderTraffic(t *testing.T) {
	rig.Each(t, func(t *testing.T, b rig.Backend) {
		for qos := packet.QoS(0); qos <= 2; qos++ {
			t.Run(fmt.Sprint("QoS ", qos), func(t *testing.T) { replaceUnderTraffic(t, b, qos) })
		}
	})
}

func replaceUnderTraffic(t *testing.T, b rig.Backend, qos packet.QoS) {
	file, replace := policyFile(t, allowAll)
	n := rig.Start(t, b, "access.policy="+file)
	bus := rig.OpenBus(t, n)
	id := rig.Prefix(t)
	d, _ := rig.Dial(t, n, packet.V5, rig.Clean(id))
	d.Subscribe(id+"/#", qos)

	// A round is a message that stays open, and one that does not.
	rounds := 0
	round := func(when string) {
		for _, kind := range []string{"open", "secret"} {
			bus.Send(bus.Message(fmt.Sprintf("%s/%s/%d", id, kind, rounds), []byte(when), uint8(qos)))
		}
		rounds++
	}
	published := make(chan struct{})
	go func() {
		defer close(published)
		for range 20 {
			round("before")
		}
		if err := replace(hideSecret); err != nil {
			t.Error(err)
		}
		rig.Eventually(t, "the node has the new rules", func() error {
			round("meanwhile")
			return reloaded(t, n, "used", "1")
		})
		for range 20 {
			round("after")
		}
		bus.Send(bus.Message(id+"/open/end", nil, uint8(qos)))
	}()

	open, secrets := 0, 0
	for {
		p := d.Collect(1)[0]
		switch rest := strings.TrimPrefix(p.Topic, id+"/"); {
		case rest == "open/end":
			<-published
			if open != rounds || secrets == 0 {
				t.Errorf("%d of %d open messages came, and %d secret ones before the new rules", open, rounds, secrets)
			}
			return
		case rest == fmt.Sprint("open/", open):
			open++
		case strings.HasPrefix(rest, "open/"):
			t.Fatalf("%s came, want open/%d", rest, open)
		case string(p.Payload) == "after":
			t.Errorf("%s came after the new rules", rest)
		default:
			secrets++
		}
	}
}

// reloaded reports whether so many files were used, or refused.
func reloaded(t *testing.T, n *rig.Node, result, count string) error {
	want := fmt.Sprintf("sluice_access_policy_reloads_total{result=%q} %s\n", result, count)
	if !strings.Contains(metrics(t, n), want) {
		return fmt.Errorf("no %q", want)
	}
	return nil
}

// A file with a fault changes nothing, and neither does one that is gone; the next good one is taken.
func TestARuleFileWithAFaultChangesNothing(t *testing.T) {
	file, replace := policyFile(t, hideSecret)
	n := rig.Start(t, rig.Embedded(), "access.policy="+file)
	id := rig.Prefix(t)
	d, _ := rig.Dial(t, n, packet.V5, rig.Clean(id))
	refused := func() {
		t.Helper()
		if r := d.Subscribe(id+"/secret/x", 1); r != packet.NotAuthorized {
			t.Errorf("SUBACK %v", r)
		}
	}
	refused()
	if err := replace("rules: nonsense"); err != nil {
		t.Fatal(err)
	}
	rig.Eventually(t, "the file is refused", func() error { return reloaded(t, n, "refused", "1") })
	refused()
	if err := n.Ready(rig.Context(t)); err != nil {
		t.Errorf("the node is not ready: %v", err)
	}
	if err := os.Remove(file); err != nil {
		t.Fatal(err)
	}
	rig.Eventually(t, "a missing file is refused", func() error { return reloaded(t, n, "refused", "2") })
	refused()
	if err := replace(allowAll); err != nil {
		t.Fatal(err)
	}
	rig.Eventually(t, "the good file is used", func() error { return reloaded(t, n, "used", "1") })
	if r := d.Subscribe(id+"/secret/x", 1); r != packet.GrantedQoS1 {
		t.Errorf("SUBACK %v", r)
	}
}
