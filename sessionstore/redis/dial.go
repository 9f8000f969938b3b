package redis

import (
	"context"
	"crypto/tls"
	"net"
	"time"

	goredis "github.com/redis/go-redis/v9"
)

// dialer makes connections that are reset when they are closed. A connection we give up may still hold a step in the kernel's send buffer;
// closed politely it would be delivered when the network or the server wakes up, after its repeat and after younger steps.
func dialer(config *tls.Config, limit time.Duration) func(context.Context, string, string) (net.Conn, error) {
	if limit <= 0 {
		limit = dialTime
	}
	return func(ctx context.Context, network, addr string) (net.Conn, error) {
		d := net.Dialer{Timeout: limit, KeepAlive: 15 * time.Second}
		conn, err := d.DialContext(ctx, network, addr)
		if err != nil {
			return nil, err
		}
		if tcp, ok := conn.(*net.TCPConn); ok {
			_ = tcp.SetLinger(0)
		}
		if config == nil {
			return conn, nil
		}
		own := config.Clone()
		if own.ServerName == "" {
			if own.ServerName, _, err = net.SplitHostPort(addr); err != nil {
				_ = conn.Close()
				return nil, err
			}
		}
		secure := tls.Client(conn, own)
		ctx, cancel := context.WithTimeout(ctx, limit)
		defer cancel()
		if err := secure.HandshakeContext(ctx); err != nil {
			_ = conn.Close()
			return nil, err
		}
		return secure, nil
	}
}

// quiet drops the library's own log. It writes to standard error through a logger of the whole process, a line for each failed dial; what
// an operator needs of it is in the outage lines, with the cause.
type quiet struct{}

func (quiet) Printf(context.Context, string, ...any) {}

func quietLibrary() { goredis.SetLogger(quiet{}) }
