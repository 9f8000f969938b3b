package e2e

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"sluice/gateway/auth/password"
	"sluice/gateway/e2e/rig"
	"sluice/mqtt/mqtttest"
	"sluice/mqtt/packet"
)

// passwordFile is a file of passwords, which set changes as sluice passwd does.
type passwordFile struct {
	t    *testing.T
	name string
}

func newPasswordFile(t *testing.T, users ...string) *passwordFile {
	t.Helper()
	f := &passwordFile{t, filepath.Join(t.TempDir(), "passwords")}
	for _, u := range users {
		name, secret, _ := strings.Cut(u, "=")
		f.set(name, secret)
	}
	return f
}

// set gives a user a password; an empty one removes the user.
func (f *passwordFile) set(name, secret string) {
	f.t.Helper()
	before, err := os.ReadFile(f.name)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		f.t.Fatal(err)
	}
	u := password.User{Name: name}
	if secret != "" {
		if u.Hash, err = password.Hash([]byte(secret)); err != nil {
			f.t.Fatal(err)
		}
	}
	after, _, err := password.Edit(before, u)
	if err := errors.Join(err, os.WriteFile(f.name+".new", after, 0o600), os.Rename(f.name+".new", f.name)); err != nil {
		f.t.Fatal(err)
	}
}

// as says who the device is.
func as(user, secret string) func(*packet.Connect) {
	return func(p *packet.Connect) {
		p.HasUsername, p.Username, p.HasPassword, p.Password = true, user, true, []byte(secret)
	}
}

// knock connects and gives the answer.
func knock(t *testing.T, n *rig.Node, v packet.Version, options ...func(*packet.Connect)) (*mqtttest.Device, packet.ReasonCode) {
	t.Helper()
	d := mqtttest.Dial(t, n.TCP, v)
	d.SetTimeout(rig.Patience)
	return d, d.Connect(options...).Reason
}

// in gives the code as the version has it: 3.1.1 has return codes.
func in(v packet.Version, r packet.ReasonCode) string {
	if v == packet.V5 {
		return r.String()
	}
	return fmt.Sprint("return code ", r.ConnackReturnCode())
}

// Who shows the right password is let in, others are told as their version has it, and the node says in its metrics who it was.
func TestPasswords(t *testing.T) {
	rig.Versions(t, func(t *testing.T, v packet.Version) {
		files := newPasswordFile(t, "ada=apple", "bob=berry")
		n := rig.Start(t, rig.Embedded(), "auth.methods=password", "auth.password_file="+files.name)
		id := rig.Prefix(t)
		for _, c := range []struct {
			name    string
			options []func(*packet.Connect)
			want    packet.ReasonCode
		}{
			{"right", []func(*packet.Connect){as("ada", "apple")}, packet.Success},
			{"wrong", []func(*packet.Connect){as("ada", "berry")}, packet.BadUserNameOrPassword},
			{"unknown", []func(*packet.Connect){as("eve", "apple")}, packet.BadUserNameOrPassword},
			{"nothing", nil, packet.NotAuthorized},
		} {
			d, got := knock(t, n, v, append(c.options, rig.Clean(id+c.name))...)
			if in(v, got) != in(v, c.want) {
				t.Errorf("%s: %s, want %s", c.name, in(v, got), in(v, c.want))
			}
			if got == packet.Success {
				d.Subscribe(id+"/#", 1)
				d.Publish(id+"/a", []byte("x"), 1)
				d.Collect(1)
				d.Disconnect()
			} else {
				d.ExpectClosed()
			}
		}
		page := metrics(t, n)
		for method, results := range map[string][]string{"password": {"success", "wrong-password", "unknown-user"}, "none": {"no-credential"}} {
			for _, result := range results {
				want := fmt.Sprintf("sluice_authentications_total{listener=%q,method=%q,result=%q} 1\n", "mqtt.tcp.listen", method, result)
				if !strings.Contains(page, want) {
					t.Errorf("the metrics have no %s", want)
				}
			}
		}
	})
}

// One device's client identifier under another's credentials is another session: the first notices nothing.
func TestAPasswordOfAnotherTakesNoSessionOver(t *testing.T) {
	rig.Versions(t, func(t *testing.T, v packet.Version) {
		files := newPasswordFile(t, "ada=apple", "bob=berry")
		n := rig.Start(t, rig.Embedded(), "auth.methods=password", "auth.password_file="+files.name)
		id := rig.Prefix(t)
		victim, _ := rig.Dial(t, n, v, rig.Persistent(id), as("ada", "apple"))
		victim.Subscribe(id+"/#", 1)
		thief, code := knock(t, n, v, rig.Persistent(id), as("bob", "berry"))
		if code == packet.Success {
			thief.Disconnect()
		}
		victim.Publish(id+"/a", []byte("still here"), 1)
		if m := victim.Collect(1)[0]; string(m.Payload) != "still here" {
			t.Errorf("got %q", m.Payload)
		}
		victim.Disconnect()
	})
}

// Who is removed from the file, or gets another password, is disconnected within five seconds; all others stay.
func TestAChangedPasswordEndsConnections(t *testing.T) {
	rig.Versions(t, func(t *testing.T, v packet.Version) {
		files := newPasswordFile(t, "ada=apple", "bob=berry", "cyd=cherry")
		n := rig.Start(t, rig.Embedded(), "auth.methods=password", "auth.password_file="+files.name)
		id := rig.Prefix(t)
		dial := func(user, secret string) *mqtttest.Device {
			d, _ := rig.Dial(t, n, v, rig.Clean(id+user), as(user, secret))
			return d
		}
		ada, bob, cyd := dial("ada", "apple"), dial("bob", "berry"), dial("cyd", "cherry")
		running := rig.Running(t)
		files.set("ada", "")
		files.set("bob", "banana")
		for name, d := range map[string]*mqtttest.Device{"ada": ada, "bob": bob} {
			if v == packet.V5 {
				if p, ok := d.Recv().(*packet.Disconnect); !ok || p.Reason != packet.NotAuthorized {
					t.Errorf("%s: %v, want DISCONNECT %v", name, p, packet.NotAuthorized)
				}
			}
			d.ExpectClosed()
		}
		if took := running(); took > 5*time.Second {
			t.Errorf("it took %v", took)
		}
		for _, c := range [][2]string{{"ada", "apple"}, {"bob", "berry"}} {
			if _, code := knock(t, n, v, rig.Clean(id+c[0]), as(c[0], c[1])); in(v, code) != in(v, packet.BadUserNameOrPassword) {
				t.Errorf("%s with the old password: %v", c[0], in(v, code))
			}
		}
		cyd.Publish(id+"/a", []byte("x"), 1)
		cyd.Disconnect()
		dial("bob", "banana").Disconnect()
	})
}

// Certificates name principals, a listener has methods of its own, and a device without a certificate is asked for its password.
func TestCertificatesAndPasswords(t *testing.T) {
	certFile, keyFile, caFile, ca := certificate(t)
	files := newPasswordFile(t, "ada=apple")
	n := rig.Start(t, rig.Embedded(), "mqtt.tls.listen=127.0.0.1:0", "mqtt.tls.cert="+certFile, "mqtt.tls.key="+keyFile, "mqtt.tls.client_ca="+caFile,
		"mqtt.tls.client_certificates=optional", "mqtt.tls.auth=certificate,password", "auth.password_file="+files.name)
	own, ownKey := ca.Issue("press-7").Files(t)
	open, _ := rig.Dial(t, n, packet.V5)
	prefix := rig.Prefix(t)
	open.Subscribe(prefix+"/#", 1)
	for _, version := range []string{"311", "5"} {
		args := []string{"-h", "127.0.0.1", "-p", port(n.TLS), "--cafile", caFile, "-V", version, "-q", "1", "-t", prefix + "/m"}
		run := func(more ...string) int {
			return rig.Run(t, rig.Env(t, rig.EnvMosquittoPub), append(append([]string(nil), args...), more...)...).Wait()
		}
		if code := run("-m", "certificate", "--cert", own, "--key", ownKey); code != 0 {
			t.Errorf("with a certificate: %d", code)
		}
		if code := run("-m", "password", "-u", "ada", "-P", "apple"); code != 0 {
			t.Errorf("with a password: %d", code)
		}
		if code := run("-m", "wrong", "-u", "ada", "-P", "berry"); code == 0 {
			t.Error("with a wrong password: let in")
		}
		if code := run("-m", "nothing"); code == 0 {
			t.Error("with nothing: let in")
		}
		for _, want := range []string{"certificate", "password"} {
			if m := open.Collect(1)[0]; string(m.Payload) != want {
				t.Errorf("got %q, want %q", m.Payload, want)
			}
		}
	}
	open.Disconnect()
}

// Somebody guesses from an address, many times at once. A neighbour who has the right password gets in meanwhile, and most guesses are refused unseen.
func TestGuessing(t *testing.T) {
	files := newPasswordFile(t, "ada=apple", "bob=berry")
	n := rig.Start(t, rig.Embedded(), "auth.methods=password", "auth.password_file="+files.name)
	var guesses []*mqtttest.Device
	for i := range 40 {
		d := mqtttest.Dial(t, n.TCP, packet.V5)
		d.SetTimeout(rig.Patience)
		p := &packet.Connect{Version: packet.V5, CleanStart: true, ClientID: fmt.Sprint(rig.Prefix(t), i)}
		as("ada", fmt.Sprint("guess", i))(p)
		d.Send(p)
		guesses = append(guesses, d)
	}
	bob, code := knock(t, n, packet.V5, as("bob", "berry"))
	if code != packet.Success {
		t.Errorf("the neighbour: %v", code)
	}
	bob.Disconnect()
	answers := map[packet.ReasonCode]int{}
	for _, d := range guesses {
		answers[mqtttest.Expect[*packet.Connack](d).Reason]++
	}
	if answers[packet.ConnectionRateExceeded] < 20 || answers[packet.BadUserNameOrPassword] < 10 || len(answers) != 2 {
		t.Errorf("answers %v, want ten judged and most refused unseen", answers)
	}
	if page := metrics(t, n); !strings.Contains(page, `result="too-many-failed"`) {
		t.Error("the metrics know nothing of it")
	}
}
