package e2e

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"sluice/gateway/e2e/rig"
)

// deviceMessage is a message as a device sends or gets it, in the words of testdata/device.js.
type deviceMessage struct {
	Topic   string  `json:"topic"`
	Payload hexText `json:"payload"`
	QoS     byte    `json:"qos"`
	Retain  bool    `json:"retain"`
	extras  `json:"-"`
}

// extras are the properties of a message that MQTT 5 has and 3.1.1 has not.
type extras struct {
	ContentType   string
	ResponseTopic string
	Correlation   string
	Expiry        uint32   // seconds
	User          []string // "key:value", in order
}

// received is a message as a device reports it.
type received struct {
	deviceMessage
	expiry uint32
}

// device is a program that others wrote, as one version of MQTT.
type device struct {
	name    string
	version int // of the standard: 4 or 5
	// publish sends the messages and waits until the gateway has answered all.
	publish func(t *testing.T, n *rig.Node, version int, messages []deviceMessage)
	// subscribe starts a subscriber for each filter, for a connection that carries all would have to drop QoS 0 messages while large ones
	// are in its way. It returns when they are ready; the function it returns waits until each has count messages and has ended.
	subscribe func(t *testing.T, n *rig.Node, version int, filters []filter, count int) func() []received
}

type filter struct {
	topic string
	qos   byte
}

func devices() []device {
	return []device{
		{"mosquitto-v311", 4, mosquittoPublish, mosquittoSubscribe},
		{"mosquitto-v5", 5, mosquittoPublish, mosquittoSubscribe},
		{"mqttjs-v311", 4, jsPublish, jsSubscribe},
		{"mqttjs-v5", 5, jsPublish, jsSubscribe},
	}
}

func mosquittoVersion(version int) string {
	if version == 5 {
		return "5"
	}
	return "311"
}

func mosquittoPublish(t *testing.T, n *rig.Node, version int, messages []deviceMessage) {
	t.Helper()
	var running []*rig.Process
	for i, m := range messages {
		file := filepath.Join(t.TempDir(), "payload")
		if err := os.WriteFile(file, []byte(m.Payload), 0o600); err != nil {
			t.Fatal(err)
		}
		args := []string{"-V", mosquittoVersion(version), "-p", port(n.TCP), "-i", fmt.Sprintf("%s-%d", rig.Prefix(t), i),
			"-q", strconv.Itoa(int(m.QoS)), "-t", m.Topic}
		if len(m.Payload) == 0 {
			args = append(args, "-n")
		} else {
			args = append(args, "-f", file)
		}
		running = append(running, rig.Run(t, rig.Env(t, rig.EnvMosquittoPub), append(args, mosquittoProperties(m)...)...))
	}
	for _, p := range running {
		p.Succeed()
	}
}

func mosquittoProperties(m deviceMessage) (args []string) {
	add := func(words ...string) { args = append(append(args, "-D", "publish"), words...) }
	if m.ContentType != "" {
		add("content-type", m.ContentType)
	}
	if m.ResponseTopic != "" {
		add("response-topic", m.ResponseTopic)
	}
	if m.Correlation != "" {
		add("correlation-data", m.Correlation)
	}
	if m.Expiry > 0 {
		add("message-expiry-interval", strconv.Itoa(int(m.Expiry)))
	}
	for _, u := range m.User {
		key, value, _ := strings.Cut(u, ":")
		add("user-property", key, value)
	}
	return args
}

// mosquittoMark begins the lines that are messages.
const mosquittoMark = "message|"

// mosquittoSubscribe: mosquitto_sub says nothing before its first message that would come out of its buffer, so that readiness is a message
// on a topic for that alone; its filter is the last, and the gateway binds filters in order.
func mosquittoSubscribe(t *testing.T, n *rig.Node, version int, filters []filter, count int) func() []received {
	t.Helper()
	var subscribers []*rig.Process
	bus := rig.OpenBus(t, n)
	for _, f := range filters {
		ready := rig.Prefix(t) + "/ready"
		p := rig.Run(t, rig.Env(t, rig.EnvMosquittoSub), "-V", mosquittoVersion(version), "-p", port(n.TCP), "-i", rig.Prefix(t),
			"-q", strconv.Itoa(int(f.qos)), "-t", f.topic, "-t", ready, "-F", mosquittoMark+"%t|%q|%x|%C|%R|%D|%E|%P|%r")
		rig.Eventually(t, "mosquitto_sub listens to "+f.topic, func() error {
			bus.Publish(bus.Message(ready, nil, f.qos))
			if !p.Has(ready) {
				return fmt.Errorf("no message on %s yet", ready)
			}
			return nil
		})
		subscribers = append(subscribers, p)
	}
	return func() (got []received) {
		t.Helper()
		for _, p := range subscribers {
			var messages []received
			rig.Eventually(t, fmt.Sprintf("mosquitto_sub has %d messages", count), func() error {
				if messages = mosquittoMessages(t, p); len(messages) < count {
					return fmt.Errorf("it has %d", len(messages))
				}
				return nil
			})
			got = append(got, messages...)
			p.Terminate()
			p.Wait()
		}
		return got
	}
}

func mosquittoMessages(t *testing.T, p *rig.Process) (got []received) {
	t.Helper()
	for l := range strings.Lines(p.Stdout()) {
		l, isMessage := strings.CutPrefix(strings.TrimSuffix(l, "\n"), mosquittoMark)
		if !isMessage {
			continue
		}
		f := strings.SplitN(l, "|", 9)
		if strings.HasSuffix(f[0], "/ready") {
			continue
		}
		m := received{deviceMessage: deviceMessage{Topic: f[0], Payload: unhex(t, f[2]), QoS: f[1][0] - '0', Retain: f[8] == "1"}}
		m.ContentType, m.ResponseTopic, m.Correlation = f[3], f[4], f[5]
		if f[6] != "" {
			seconds, err := strconv.ParseUint(f[6], 10, 32)
			if err != nil {
				t.Fatalf("mosquitto_sub printed %q: %v", l, err)
			}
			m.expiry = uint32(seconds)
		}
		m.User = strings.Fields(f[7])
		got = append(got, m)
	}
	return got
}

// jsTask is the input of testdata/device.js.
type jsTask struct {
	URL       string               `json:"url"`
	Version   int                  `json:"version"`
	ClientID  string               `json:"clientId"`
	Clean     bool                 `json:"clean"`
	Expiry    uint32               `json:"expiry"`
	Subscribe map[string]jsOptions `json:"subscribe,omitempty"`
	Publish   []jsMessage          `json:"publish"`
	Count     int                  `json:"count"`
}

type jsOptions struct {
	QoS byte `json:"qos"`
}

type jsMessage struct {
	deviceMessage
	Properties map[string]any `json:"properties,omitempty"`
}

// jsRun runs task against n over plain TCP, unless the task names a URL.
func jsRun(t *testing.T, n *rig.Node, task jsTask, environment ...string) *rig.Process {
	t.Helper()
	task.ClientID, task.Clean = rig.Prefix(t), true
	if task.URL == "" {
		task.URL = "mqtt://" + n.TCP
	}
	if task.Publish == nil {
		task.Publish = []jsMessage{}
	}
	return program(t, rig.Env(t, rig.EnvNode), "device.js", task, environment...)
}

// program runs a program of testdata with its task as standard input and some variables in its environment.
func program(t *testing.T, interpreter, name string, task any, environment ...string) *rig.Process {
	t.Helper()
	input, err := json.Marshal(task)
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(interpreter, filepath.Join("testdata", name))
	cmd.Stdin = bytes.NewReader(input)
	cmd.Env = append(append(cmd.Environ(), "NODE_PATH="+rig.Env(t, rig.EnvNodeModules)), environment...)
	return rig.RunCommand(t, cmd)
}

func jsPublish(t *testing.T, n *rig.Node, version int, messages []deviceMessage) {
	t.Helper()
	task := jsTask{Version: version}
	for _, m := range messages {
		task.Publish = append(task.Publish, jsMessage{m, jsProperties(m)})
	}
	p := jsRun(t, n, task)
	p.Lines(`"published"`, len(messages))
	p.Succeed()
}

func jsProperties(m deviceMessage) map[string]any {
	properties := map[string]any{}
	if m.ContentType != "" {
		properties["contentType"] = m.ContentType
	}
	if m.ResponseTopic != "" {
		properties["responseTopic"] = m.ResponseTopic
	}
	if m.Correlation != "" {
		properties["correlationData"] = hexText(m.Correlation)
	}
	if m.Expiry > 0 {
		properties["messageExpiryInterval"] = m.Expiry
	}
	if len(m.User) > 0 {
		properties["userProperties"] = orderedObject(m.User)
	}
	return properties
}

func jsSubscribe(t *testing.T, n *rig.Node, version int, filters []filter, count int) func() []received {
	t.Helper()
	var subscribers []*rig.Process
	for _, f := range filters {
		subscribers = append(subscribers, jsRun(t, n, jsTask{Version: version, Subscribe: map[string]jsOptions{f.topic: {f.qos}}, Count: count}))
	}
	for _, p := range subscribers {
		p.Line(`"subscribed"`)
	}
	return func() (got []received) {
		t.Helper()
		for _, p := range subscribers {
			for _, l := range p.Lines(`"event":"message"`, count) {
				got = append(got, jsMessageOf(t, l))
			}
			p.Succeed()
		}
		return got
	}
}

func jsMessageOf(t *testing.T, line string) received {
	t.Helper()
	var m struct {
		deviceMessage
		ContentType   string          `json:"contentType"`
		ResponseTopic string          `json:"responseTopic"`
		Correlation   hexText         `json:"correlation"`
		Expiry        uint32          `json:"expiry"`
		User          json.RawMessage `json:"user"`
	}
	decode(t, line, &m)
	r := received{deviceMessage: m.deviceMessage, expiry: m.Expiry}
	r.extras = extras{ContentType: m.ContentType, ResponseTopic: m.ResponseTopic, Correlation: string(m.Correlation), User: flatten(t, m.User)}
	return r
}

func decode(t *testing.T, line string, into any) {
	t.Helper()
	if err := json.Unmarshal([]byte(line), into); err != nil {
		t.Fatalf("%.200q: %v", line, err)
	}
}

func port(address string) string {
	_, p, _ := net.SplitHostPort(address)
	return p
}
