package suite

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"sluice/amqp"
	"sluice/amqp/client"
	"sluice/bench/load"
	"sluice/bench/proc"
)

// portOffset is that of the benchmark's own set of services: nothing else is on it, and it may be restarted.
const portOffset = 800

// Lab is the machine with all that is compared on it.
type Lab struct {
	binary string
	folder string // certificates and logs; removed at the end
	out    io.Writer
	own    []string // environment of scripts/services for a set of our own; nil: services of somebody else
	script string
	lock   *os.File // of our own set; nil: as above

	busURL, storeURL string
	plugin, pluginS  *url.URL // RabbitMQ's MQTT plugin, plain and TLS
	mosquitto        *url.URL // nil: not there
	mosquittoS       *url.URL
	certFile         string
	keyFile          string
	trust            *tls.Config
	busPID, storePID int
	brokerPID        int // mosquitto, 0 if it is not there
	topology         *client.Client
	names            atomic.Int64
	calm             calmness
	prefix           string
}

// Open uses the services that the environment names, if binary is a sluice; what is missing there is not compared.
func Open(ctx context.Context, binary, folder string, out io.Writer) (*Lab, error) {
	l := &Lab{binary: binary, folder: folder, out: out, prefix: fmt.Sprintf("bench%d", time.Now().UnixMilli())}
	if err := l.makeCertificate(); err != nil {
		return nil, err
	}
	return l, l.connect(ctx, os.Getenv)
}

// OpenOwn starts a set of services of its own by scripts/services, which ends with Close. Of those that do at the same time on a machine all but the first are refused.
func OpenOwn(ctx context.Context, binary, folder, script string, out io.Writer) (*Lab, error) {
	lock, err := lockServices(lockFile())
	if err != nil {
		return nil, err
	}
	l := &Lab{binary: binary, folder: folder, out: out, script: script, lock: lock, prefix: fmt.Sprintf("bench%d", time.Now().UnixMilli())}
	if err := l.startOwn(ctx); err != nil {
		return nil, errors.Join(err, l.Close())
	}
	return l, nil
}

func (l *Lab) startOwn(ctx context.Context) error {
	if err := l.makeCertificate(); err != nil {
		return err
	}
	for _, v := range os.Environ() {
		// The addresses in our environment are those of another set: the script would take them for services from elsewhere.
		if !strings.HasPrefix(v, "SLUICE_TEST_") {
			l.own = append(l.own, v)
		}
	}
	l.own = append(l.own, fmt.Sprint("SLUICE_PORT_OFFSET=", portOffset), "SLUICE_MQTT_TLS_CERT="+l.certFile, "SLUICE_MQTT_TLS_KEY="+l.keyFile)
	// A set that an interrupted run left has another certificate.
	if _, err := l.services(ctx, "down"); err != nil {
		return err
	}
	l.say("starting RabbitMQ, Redis and mosquitto for this run")
	for _, name := range []string{"rabbitmq", "redis", "mosquitto"} {
		if _, err := l.services(ctx, "start", name); err != nil {
			return err
		}
	}
	text, err := l.services(ctx, "env")
	if err != nil {
		return err
	}
	env := map[string]string{}
	for line := range strings.Lines(text) {
		if name, value, ok := strings.Cut(strings.TrimPrefix(strings.TrimSpace(line), "export "), "="); ok {
			env[name] = value
		}
	}
	return l.connect(ctx, func(name string) string { return env[name] })
}

func (l *Lab) services(ctx context.Context, words ...string) (string, error) {
	cmd := exec.CommandContext(ctx, l.script, words...)
	cmd.Env = l.own
	var errs strings.Builder
	cmd.Stderr = &errs
	out, err := cmd.Output()
	if err != nil {
		return string(out), fmt.Errorf("%s %s: %w\n%s", l.script, strings.Join(words, " "), err, errs.String())
	}
	return string(out), nil
}

func (l *Lab) connect(ctx context.Context, get func(string) string) (err error) {
	l.busURL, l.storeURL = get("SLUICE_TEST_RABBITMQ_URL"), get("SLUICE_TEST_REDIS_URL")
	for name, to := range map[string]**url.URL{
		"SLUICE_TEST_RABBITMQ_MQTT": &l.plugin, "SLUICE_TEST_RABBITMQ_MQTTS": &l.pluginS, "SLUICE_TEST_MOSQUITTO_URL": &l.mosquitto, "SLUICE_TEST_MOSQUITTO_MQTTS": &l.mosquittoS,
	} {
		if text := get(name); text != "" {
			if *to, err = url.Parse(text); err != nil {
				return fmt.Errorf("%s: %w", name, err)
			}
		}
	}
	if l.busURL == "" || l.storeURL == "" || l.plugin == nil {
		return errors.New(`SLUICE_TEST_RABBITMQ_URL, SLUICE_TEST_RABBITMQ_MQTT and SLUICE_TEST_REDIS_URL must be set: scripts/services up, then eval "$(scripts/services env)"`)
	}
	if err := l.findProcesses(); err != nil {
		return err
	}
	l.topology, err = client.Open(client.Options{URLs: []string{l.busURL}, ContainerID: l.prefix, Logger: zap.NewNop(), Connections: 1, Lanes: 1})
	if err != nil {
		return err
	}
	return l.await(ctx, readyWait, "the bus is ready", func() error { return l.topology.Ready(ctx) })
}

func (l *Lab) findProcesses() (err error) {
	if l.busPID, err = listening(l.busURL); err != nil {
		return err
	}
	if l.storePID, err = listening(l.storeURL); err != nil {
		return err
	}
	if l.mosquitto != nil {
		l.brokerPID, err = listening(l.mosquitto.String())
	}
	return err
}

func listening(raw string) (int, error) {
	u, err := url.Parse(raw)
	if err != nil {
		return 0, err
	}
	port, err := strconv.Atoi(u.Port())
	if err != nil {
		return 0, fmt.Errorf("%s: a port is needed", u.Redacted())
	}
	return proc.Listening(port)
}

// Restart gives a service of our own a new process, so that its memory tells of what comes and not of what was. Services of others are left alone.
func (l *Lab) restart(ctx context.Context, name string) error {
	if l.own == nil {
		return nil
	}
	if _, err := l.services(ctx, "restart", name); err != nil {
		return err
	}
	if err := l.findProcesses(); err != nil {
		return err
	}
	return l.await(ctx, readyWait, "the bus is ready", func() error { return l.topology.Ready(ctx) })
}

// Close ends what the lab has started.
func (l *Lab) Close() error {
	ctx, cancel := context.WithTimeout(context.Background(), stopWait)
	defer cancel()
	var err error
	if l.topology != nil {
		err = l.topology.Close(ctx)
	}
	if l.own != nil {
		_, down := l.services(context.Background(), "down")
		err = errors.Join(err, down)
	}
	if l.lock != nil {
		err = errors.Join(err, l.lock.Close())
	}
	return err
}

func (l *Lab) say(format string, args ...any) {
	fmt.Fprintf(l.out, "%s  %s\n", time.Now().Format("15:04:05"), fmt.Sprintf(format, args...))
}

// name is one that nothing else uses; it is a topic level, a client id and the name of a queue.
func (l *Lab) name() string { return fmt.Sprintf("%s-%d", l.prefix, l.names.Add(1)) }

// queue makes a queue with a name, from Lab.name, that gets what is published below topic. The function removes it.
func (l *Lab) queue(ctx context.Context, name, topic string) (address string, remove func() error, err error) {
	ctx, cancel := context.WithTimeout(ctx, topologyWait)
	defer cancel()
	name += "-queue"
	if err := l.topology.EnsureInbox(ctx, amqp.Inbox{Name: name, Expires: uint64(time.Hour / time.Millisecond)}); err != nil {
		return "", nil, err
	}
	remove = func() error {
		ctx, cancel := context.WithTimeout(context.Background(), topologyWait)
		defer cancel()
		return l.topology.DeleteInbox(ctx, name)
	}
	if err := l.topology.Subscribe(ctx, name, amqp.Topics(strings.ReplaceAll(topic, "/", ".")+".#")); err != nil {
		return "", nil, errors.Join(err, remove())
	}
	return "/queues/" + name, remove, nil
}

// await polls until f returns nil.
func (l *Lab) await(ctx context.Context, limit time.Duration, what string, f func() error) error {
	for end := time.Now().Add(limit); ; {
		err := f()
		if err == nil {
			return nil
		}
		if time.Now().After(end) {
			return fmt.Errorf("waited %v until %s: %w", limit, what, err)
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(pollPause):
		}
	}
}

// server is where devices connect.
type server struct {
	plain, tls string // addresses; tls is empty if there is none
	user       *url.Userinfo
}

func (l *Lab) pluginServer() server {
	s := server{plain: l.plugin.Host, user: l.plugin.User}
	if l.pluginS != nil {
		s.tls = l.pluginS.Host
	}
	return s
}

func (l *Lab) mosquittoServer() server {
	s := server{plain: l.mosquitto.Host}
	if l.mosquittoS != nil {
		s.tls = l.mosquittoS.Host
	}
	return s
}

// device gives the options of a device named so. With cache, TLS sessions are resumed from it.
func (l *Lab) device(s server, name string, secure bool, cache tls.ClientSessionCache) load.Options {
	o := load.Options{Address: s.plain, ClientID: name, Username: s.user.Username()}
	o.Password, _ = s.user.Password()
	if secure {
		o.Address, o.TLS = s.tls, l.trust.Clone()
		o.TLS.ClientSessionCache = cache
	}
	return o
}

func (l *Lab) file(name string) string { return filepath.Join(l.folder, name) }
