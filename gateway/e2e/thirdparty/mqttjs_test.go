package thirdparty

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"sluice/gateway/e2e/rig"
	"sluice/mqtt/packet"
)

// jsProcess is one node process with mqtt.js (testdata/driver.js) for all connections of all tests.
type jsProcess struct {
	cmd     *exec.Cmd
	reading sync.WaitGroup

	mu      sync.Mutex
	in      io.WriteCloser
	last    int
	answers map[int]chan jsAnswer
	devices map[int]*device
	dead    bool
}

// jsAnswer is a line with the number of a request.
type jsAnswer struct {
	N        int                 `json:"n"`
	Error    string              `json:"error"`
	Reason   packet.ReasonCode   `json:"reason"`
	Reasons  []int               `json:"reasons"`
	Present  bool                `json:"present"`
	Assigned string              `json:"assigned"`
	Device   int                 `json:"device"`
	Event    string              `json:"event"`
	Told     bool                `json:"told"`
	Topic    string              `json:"topic"`
	Payload  []byte              `json:"payload"`
	QoS      byte                `json:"qos"`
	Retain   bool                `json:"retain"`
	Content  string              `json:"contentType"`
	Response string              `json:"responseTopic"`
	Data     []byte              `json:"correlationData"`
	Expiry   uint32              `json:"expiry"`
	Text     bool                `json:"text"`
	User     map[string]jsValues `json:"user"`
	Subs     []int               `json:"subscriptions"`
}

// jsValues are the values of a user property: a string when there is one, a list when there are more.
type jsValues []string

func (v *jsValues) UnmarshalJSON(b []byte) error {
	var one string
	if json.Unmarshal(b, &one) == nil {
		*v = jsValues{one}
		return nil
	}
	return json.Unmarshal(b, (*[]string)(v))
}

// startJS starts the process; it ends with the test.
func startJS(t *testing.T) *jsProcess {
	t.Helper()
	p := &jsProcess{answers: map[int]chan jsAnswer{}, devices: map[int]*device{}}
	p.cmd = exec.Command(rig.Env(t, rig.EnvNode), filepath.Join("testdata", "driver.js"))
	p.cmd.Env = append(p.cmd.Environ(), "NODE_PATH="+rig.Env(t, rig.EnvNodeModules))
	p.cmd.Stderr = t.Output()
	var err error
	if p.in, err = p.cmd.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	out, err := p.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := p.cmd.Start(); err != nil {
		t.Fatalf("starting node: %v", err)
	}
	p.reading.Go(func() { p.read(t, out) })
	t.Cleanup(func() {
		_ = p.in.Close()
		p.reading.Wait()
		if err := p.cmd.Wait(); err != nil {
			t.Errorf("node with mqtt.js: %v", err)
		}
	})
	return p
}

// read hands out the lines until the process ends.
func (p *jsProcess) read(t *testing.T, out io.Reader) {
	lines := json.NewDecoder(out)
	for {
		var a jsAnswer
		err := lines.Decode(&a)
		if err != nil {
			if !errors.Is(err, io.EOF) {
				t.Errorf("a line of testdata/driver.js: %v", err)
				_, _ = io.Copy(io.Discard, out)
			}
			p.mu.Lock()
			p.dead = true
			for _, answer := range p.answers {
				close(answer)
			}
			p.mu.Unlock()
			return
		}
		p.mu.Lock()
		answer, d := p.answers[a.N], p.devices[a.Device]
		delete(p.answers, a.N)
		p.mu.Unlock()
		switch {
		case answer != nil:
			answer <- a
		case d != nil:
			d.jsEvent(a)
		}
	}
}

func (d *device) jsEvent(a jsAnswer) {
	switch a.Event {
	case "connected":
		d.ups.add(struct{}{})
	case "ended":
		d.ends.add(ending{told: a.Told, reason: a.Reason})
	case "message":
		m := message{Topic: a.Topic, Payload: string(a.Payload), QoS: a.QoS, Retain: a.Retain, extras: extras{
			ContentType: a.Content, ResponseTopic: a.Response, Correlation: string(a.Data), Text: a.Text, Expiry: a.Expiry, Subscriptions: a.Subs,
		}}
		for key, values := range a.User {
			for _, v := range values {
				m.User = append(m.User, key+"="+v)
			}
		}
		sortUser(m.User)
		d.messages.add(m)
	}
}

// call sends a request and waits for its answer.
func (p *jsProcess) call(fields map[string]any) (a jsAnswer, err error) {
	answer := make(chan jsAnswer, 1)
	p.mu.Lock()
	p.last++
	fields["n"] = p.last
	line, err := json.Marshal(fields)
	if p.dead {
		err = errors.New("node has ended")
	}
	if err == nil {
		p.answers[p.last] = answer
		_, err = p.in.Write(append(line, '\n'))
	}
	p.mu.Unlock()
	if err != nil {
		return a, err
	}
	limit := time.NewTimer(rig.Patience)
	defer limit.Stop()
	select {
	case a, ok := <-answer:
		if !ok {
			return a, errors.New("node has ended")
		}
		if a.Error != "" {
			return a, errors.New(a.Error)
		}
		return a, nil
	case <-limit.C:
		return a, fmt.Errorf("mqtt.js has not answered %v", fields["op"])
	}
}

// jsDevice is a connection of the process.
type jsDevice struct {
	p       *jsProcess
	number  int
	version packet.Version
}

func connectJS(s *stage, d *device, o options) (library, connack, error) {
	j := &jsDevice{p: s.js, version: s.version}
	j.p.mu.Lock()
	j.number = len(j.p.devices) + 1
	j.p.devices[j.number] = d
	j.p.mu.Unlock()
	fields := map[string]any{
		"op": "connect", "url": o.url, "version": s.version, "id": o.id, "clean": o.clean, "keepAlive": o.keepAlive, "manual": o.manual,
		"reconnect": o.reconnect, "aliases": o.aliases,
	}
	properties := map[string]any{"sessionExpiryInterval": o.expiry}
	if o.receiveMaximum > 0 {
		properties["receiveMaximum"] = o.receiveMaximum
	}
	if o.maximumPacket > 0 {
		properties["maximumPacketSize"] = o.maximumPacket
	}
	if o.aliasMaximum > 0 {
		properties["topicAliasMaximum"] = o.aliasMaximum
	}
	fields["properties"] = properties
	if w := o.will; w != nil {
		properties := jsProperties(w.extras)
		if w.Delay > 0 {
			properties["willDelayInterval"] = w.Delay
		}
		fields["will"] = map[string]any{"topic": w.Topic, "payload": []byte(w.Payload), "qos": w.QoS, "retain": w.Retain, "properties": properties}
	}
	a, err := j.call(fields)
	if err != nil {
		j.abandon()
	}
	return j, connack{present: a.Present, assigned: a.Assigned}, err
}

func (j *jsDevice) call(fields map[string]any) (jsAnswer, error) {
	fields["device"] = j.number
	return j.p.call(fields)
}

func jsProperties(e extras) map[string]any {
	p := map[string]any{}
	if e.ContentType != "" {
		p["contentType"] = e.ContentType
	}
	if e.ResponseTopic != "" {
		p["responseTopic"] = e.ResponseTopic
	}
	if e.Correlation != "" {
		p["correlationData"] = []byte(e.Correlation)
	}
	if e.Text {
		p["payloadFormatIndicator"] = true
	}
	if e.Expiry > 0 {
		p["messageExpiryInterval"] = e.Expiry
	}
	if len(e.User) > 0 {
		user := map[string][]string{}
		for _, u := range e.User {
			key, value := keyValue(u)
			user[key] = append(user[key], value)
		}
		p["userProperties"] = user
	}
	return p
}

func (j *jsDevice) subscribe(r request) (reasons []packet.ReasonCode, err error) {
	a, err := j.call(map[string]any{"op": "subscribe", "filters": r.filters, "id": r.id})
	for _, code := range a.Reasons {
		reasons = append(reasons, packet.ReasonCode(code))
	}
	return reasons, err
}

func (j *jsDevice) unsubscribe(filters ...string) error {
	_, err := j.call(map[string]any{"op": "unsubscribe", "filters": filters})
	return err
}

func (j *jsDevice) publish(m message) (packet.ReasonCode, error) {
	fields := map[string]any{"op": "publish", "topic": m.Topic, "payload": []byte(m.Payload), "qos": m.QoS, "retain": m.Retain}
	if !m.none() {
		fields["properties"] = jsProperties(m.extras)
	}
	a, err := j.call(fields)
	return a.Reason, err
}

func (j *jsDevice) acknowledge() error {
	_, err := j.call(map[string]any{"op": "acknowledge"})
	return err
}

func (j *jsDevice) disconnect(l leave) error {
	options := map[string]any{}
	if j.version == packet.V5 {
		options["reasonCode"] = l.reason
		if l.expiry != nil {
			options["properties"] = map[string]any{"sessionExpiryInterval": *l.expiry}
		}
	}
	_, err := j.call(map[string]any{"op": "disconnect", "options": options})
	return err
}

func (j *jsDevice) abandon() { _, _ = j.call(map[string]any{"op": "abandon"}) }
