package redis

import (
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/url"
	"strings"

	goredis "github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"
)

const urlForms = "use redis://[user:password@]host:port/db, redis+cluster://host1:port,host2:port or " +
	"redis+sentinel://host1:port,host2:port/master-name; rediss for TLS"

// endpoint is a URL taken apart. The user and password are those of the Redis servers, in every form.
type endpoint struct {
	kind  string // "", "cluster" or "sentinel"
	tls   bool
	user  *url.Userinfo
	hosts []string // host:port, at least one
	path  []string
	query url.Values
}

// parseURL reads
//
//	redis://[user:password@]host[:port][/db][?option=value]        one server
//	redis+cluster://[user:password@]host[:port][,host[:port]...]   Redis Cluster, some of its nodes
//	redis+sentinel://[user:password@]host[:port][,...]/name[/db]   the primary that Sentinel knows as name
//	                                                               (?sentinel_username=&sentinel_password= for the Sentinels)
//
// rediss instead of redis is TLS. Options are go-redis' (dial_timeout, read_timeout, pool_size, ...). Errors do not show the password.
func parseURL(raw string) (endpoint, error) {
	scheme, rest, ok := strings.Cut(raw, "://")
	if !ok {
		return endpoint{}, errors.New("redis: the URL has no scheme; " + urlForms)
	}
	proto, kind, _ := strings.Cut(scheme, "+")
	if (proto != "redis" && proto != "rediss") || (kind != "" && kind != "cluster" && kind != "sentinel") {
		return endpoint{}, fmt.Errorf("redis: unknown scheme %q; %s", scheme, urlForms)
	}
	e := endpoint{kind: kind, tls: proto == "rediss"}
	authority, tail := rest, ""
	if i := strings.IndexAny(rest, "/?#"); i >= 0 {
		authority, tail = rest[:i], rest[i:]
	}
	// The hosts are taken out first: net/url knows one only.
	login := ""
	if i := strings.LastIndexByte(authority, '@'); i >= 0 {
		login, authority = authority[:i+1], authority[i+1:]
	}
	u, err := url.Parse("redis://" + login + "host" + tail)
	if err != nil {
		var bad *url.Error
		errors.As(err, &bad)
		return endpoint{}, fmt.Errorf("redis: the URL cannot be read: %w; percent-escape special characters in the password", bad.Err)
	}
	e.user = u.User
	if e.query, err = url.ParseQuery(u.RawQuery); err != nil {
		return endpoint{}, errors.New("redis: the URL's options cannot be read; write them as ?name=value&name=value")
	}
	e.path = strings.FieldsFunc(u.Path, func(r rune) bool { return r == '/' })
	port := "6379"
	if kind == "sentinel" {
		port = "26379"
	}
	for _, host := range strings.Split(authority, ",") {
		if _, _, err := net.SplitHostPort(host); err != nil {
			host = net.JoinHostPort(strings.Trim(host, "[]"), port)
		}
		if strings.HasPrefix(host, ":") {
			return endpoint{}, errors.New("redis: the URL names no host; " + urlForms)
		}
		e.hosts = append(e.hosts, host)
	}
	if kind == "" && len(e.hosts) > 1 {
		return endpoint{}, errors.New("redis: several hosts need redis+cluster:// or redis+sentinel://")
	}
	if kind == "sentinel" && len(e.path) == 0 {
		return endpoint{}, errors.New("redis: redis+sentinel:// needs the master's name as its path: redis+sentinel://host1,host2/mymaster")
	}
	return e, nil
}

// forLibrary spells the endpoint as go-redis' own parsers want it: one host, the others as addr options.
func (e endpoint) forLibrary() string {
	u := url.URL{Scheme: "redis", User: e.user, Host: e.hosts[0]}
	if e.tls {
		u.Scheme = "rediss"
	}
	query := e.query
	path := e.path
	for _, host := range e.hosts[1:] {
		query.Add("addr", host)
	}
	if e.kind == "sentinel" {
		query.Set("master_name", path[0])
		path = path[1:]
		// There the URL's user is the Sentinels', the options' the servers'.
		if e.user != nil {
			password, _ := e.user.Password()
			query.Set("username", e.user.Username())
			query.Set("password", password)
		}
		u.User = nil
		if name, password := query.Get("sentinel_username"), query.Get("sentinel_password"); name != "" || password != "" {
			u.User = url.UserPassword(name, password)
		}
		query.Del("sentinel_username")
		query.Del("sentinel_password")
	}
	if len(path) > 0 {
		u.Path = "/" + strings.Join(path, "/")
	}
	u.RawQuery = query.Encode()
	return u.String()
}

// newClient makes the client for a URL, without connecting. Repeating is the lanes' business, so the library's own is turned off.
func newClient(raw string, own *tls.Config) (goredis.UniversalClient, error) {
	e, err := parseURL(raw)
	if err != nil {
		return nil, err
	}
	quietLibrary()
	off := &maintnotifications.Config{Mode: maintnotifications.ModeDisabled}
	switch e.kind {
	case "cluster":
		o, err := goredis.ParseClusterURL(e.forLibrary())
		if err != nil {
			return nil, optionError(err)
		}
		o.ContextTimeoutEnabled, o.DialerRetries, o.MaintNotificationsConfig = true, 1, off
		sizes(&o.PoolSize, &o.PipelinePoolSize)
		o.Dialer = dialer(tlsConfig(e, o.TLSConfig, own), o.DialTimeout)
		return goredis.NewClusterClient(o), nil
	case "sentinel":
		o, err := goredis.ParseFailoverURL(e.forLibrary())
		if err != nil {
			return nil, optionError(err)
		}
		o.ContextTimeoutEnabled, o.DialerRetries, o.MaxRetries = true, 1, -1
		sizes(&o.PoolSize, &o.PipelinePoolSize)
		o.Dialer = dialer(tlsConfig(e, o.TLSConfig, own), o.DialTimeout)
		return goredis.NewFailoverClient(o), nil
	}
	o, err := goredis.ParseURL(e.forLibrary())
	if err != nil {
		return nil, optionError(err)
	}
	o.ContextTimeoutEnabled, o.DialerRetries, o.MaxRetries, o.MaintNotificationsConfig = true, 1, -1, off
	sizes(&o.PoolSize, &o.PipelinePoolSize)
	o.Dialer = dialer(tlsConfig(e, o.TLSConfig, own), o.DialTimeout)
	return goredis.NewClient(o), nil
}

// sizes sets the pools: a connection a lane, and no second pool for pipelines, as everything here is one.
func sizes(pool, pipelines *int) {
	if *pool == 0 {
		*pool = lanes + spareConns
	}
	*pipelines = -1
}

// optionError keeps the library's sentence: it names options and database numbers, never the password.
func optionError(err error) error {
	var bad *url.Error
	if errors.As(err, &bad) {
		err = bad.Err
	}
	return fmt.Errorf("redis: the URL is not usable: %w; %s", err, urlForms)
}

// tlsConfig gives the configuration to dial with, nil for plain TCP. The server name is left to the dialer: a Cluster has many.
func tlsConfig(e endpoint, parsed, own *tls.Config) *tls.Config {
	if !e.tls {
		return nil
	}
	if own != nil {
		return own.Clone()
	}
	c := parsed.Clone()
	c.ServerName = ""
	return c
}
