package redis

import (
	"context"
	"errors"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"sluice/sessionstore"
)

// reply is an error as a server sends it, through the library, which gives its errors types.
func reply(t *testing.T, line string) error {
	t.Helper()
	client := goredis.NewClient(&goredis.Options{
		Dialer: func(context.Context, string, string) (net.Conn, error) {
			ours, theirs := net.Pipe()
			go answer(ours, line)
			return theirs, nil
		},
		Protocol: 2, DisableIdentity: true, MaxRetries: -1, DialerRetries: 1,
	})
	defer func() { _ = client.Close() }()
	err := client.Do(t.Context(), "x").Err()
	if err == nil {
		t.Fatalf("%s: no error", line)
	}
	return err
}

// answer gives each command the same line until the connection ends.
func answer(c net.Conn, line string) {
	defer func() { _ = c.Close() }()
	buf := make([]byte, 4096)
	for {
		n, err := c.Read(buf)
		if err != nil {
			return
		}
		for range strings.Count(string(buf[:n]), "*") {
			if _, err := io.WriteString(c, "-"+line+"\r\n"); err != nil {
				return
			}
		}
	}
}

func TestWhatIsRepeated(t *testing.T) {
	for line, want := range map[string]verdict{
		"LOADING Redis is loading the dataset in memory":                                   again,
		"READONLY You can't write against a read only replica.":                            again,
		"MASTERDOWN Link with MASTER is down and replica-serve-stale-data is set to 'no'.": again,
		"CLUSTERDOWN The cluster is down":                                                  again,
		"TRYAGAIN Multiple keys request during rehashing of slot":                          again,
		"NOREPLICAS Not enough good replicas to write.":                                    again,
		"MOVED 1 127.0.0.1:1":                                                              again,
		"ASK 1 127.0.0.1:1":                                                                again,
		"BUSY Redis is busy running a script.":                                             again,
		"MISCONF Errors writing to the AOF file":                                           again,
		"NOAUTH Authentication required.":                                                  again,
		"ERR max number of clients reached":                                                again,
		"NOSCRIPT No matching script. Please use EVAL.":                                    unknown,
		"OOM command not allowed when used memory > 'maxmemory'.":                          full,
		"ERR Error running script":                                                         refused,
		"WRONGTYPE Operation against a key holding the wrong kind of value":                refused,
		"NOPERM this user has no permissions to run the 'evalsha' command":                 refused,
		"CROSSSLOT Keys in request don't hash to the same slot":                            refused,
		"SCHEMA the session was written in version 2, this node knows 1":                   refused,
	} {
		if got := judge(reply(t, line)); got != want {
			t.Errorf("%s: %d, want %d", line, got, want)
		}
	}
	for _, err := range []error{io.EOF, net.ErrClosed, context.DeadlineExceeded, goredis.ErrPoolTimeout, goredis.ErrClosed} {
		if got := judge(err); got != again {
			t.Errorf("%v: %d, want it repeated", err, got)
		}
	}
	if judge(nil) != answered {
		t.Error("no error is an answer")
	}
}

func TestOpenTellsWhatIsWrong(t *testing.T) {
	listen, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = listen.Close() }()
	go func() {
		for {
			c, err := listen.Accept()
			if err != nil {
				return
			}
			go answer(c, "WRONGPASS invalid username-password pair or user is disabled.")
		}
	}()
	began := time.Now()
	_, err = Open(t.Context(), "redis://u:secret@"+listen.Addr().String(), Options{})
	if err == nil || !strings.Contains(err.Error(), "user or the password") || strings.Contains(err.Error(), "secret") {
		t.Errorf("wrong password: %v", err)
	}
	if took := time.Since(began); took > DefaultGrace/2 {
		t.Errorf("told after %v: a wrong password is no outage", took)
	}

	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	if _, err := Open(ctx, "redis://127.0.0.1:1", Options{}); !errors.Is(err, sessionstore.ErrUnavailable) || !strings.Contains(err.Error(), "127.0.0.1:1") {
		t.Errorf("nobody there: %v", err)
	}
}
