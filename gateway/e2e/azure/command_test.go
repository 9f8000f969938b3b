package azure

import (
	"strings"
	"testing"

	"sluice/gateway/e2e/rig"
)

// sluice runs the command for node a.
func sluice(t *testing.T, b rig.Backend, args ...string) *rig.Process {
	t.Helper()
	all := args[:1:1]
	for _, set := range append(keys("a"), "bus.url="+b.BusURL(), "mqtt.tcp.listen=127.0.0.1:0", "admin.listen=off") {
		all = append(all, "--set", set)
	}
	return rig.Run(t, build(t), append(all, args[1:]...)...)
}

func TestCommands(t *testing.T) {
	t.Parallel()
	b, _ := rig.Azure(t, namespace(), "")
	check := sluice(t, b, "check")
	check.Succeed()
	for _, want := range []string{"messages go to telemetry", "commands/Subscriptions/a", "granted QoS 0", "no shared subscriptions"} {
		if !strings.Contains(check.Stdout(), want) {
			t.Errorf("check does not say %q:\n%s", want, check.Stdout())
		}
	}
	for wrong, want := range map[string]string{
		"bus.azure.receive=commands/Subscriptions/c":                            "amqp:not-found",
		"bus.azure.entity=nowhere":                                              "nowhere",
		"bus.url=" + strings.Replace(b.BusURL(), ":"+rig.AzureKey, ":wrong", 1): "invalid signature",
	} {
		p := sluice(t, b, "check", "--set", wrong)
		if code := p.Wait(); code == 0 || !strings.Contains(p.Output(), want) || strings.Contains(p.Output(), rig.AzureKey) {
			t.Errorf("%s: status %d, wanted %q:\n%s", wrong, code, want, p.Output())
		}
	}
	app := newApplication(t, b)
	in := app.read("telemetry/Subscriptions/app")
	sluice(t, b, "send", "a/b", "hello").Succeed()
	if m := in.next(); m.Properties.Subject != "a/b" || body(m) != "hello" {
		t.Errorf("%+v %s", m.Properties, body(m))
	}
	tail := sluice(t, b, "tail", "#")
	if code := tail.Wait(); code == 0 || !strings.Contains(tail.Stderr(), "made in the portal") {
		t.Errorf("tail: status %d:\n%s", code, tail.Output())
	}
	explain := sluice(t, b, "explain", "plant/7")
	explain.Succeed()
	if !strings.Contains(explain.Stdout(), "nodes that receive from telemetry") {
		t.Errorf("explain:\n%s", explain.Stdout())
	}
}
