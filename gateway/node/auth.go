package node

import (
	"context"
	"fmt"
	"slices"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"

	"sluice/gateway/access"
	"sluice/gateway/auth"
	"sluice/gateway/auth/password"
	"sluice/gateway/config"
)

// authenticator is a method of authentication as a node has it.
type authenticator struct {
	access.Authenticator
	// run looks after it, until ctx ends; nil: nothing to do. It says through recheck that what it let in may not hold any more.
	run func(ctx context.Context, recheck func())
}

// authContext is what methods of authentication are made of.
type authContext struct {
	cfg   *config.Config
	log   *zap.Logger
	brake *auth.Brake // one for all listeners

	registry prometheus.Registerer
}

// authBuilders make the methods. One is made once for a node, however many listeners use it.
var authBuilders = map[string]func(authContext) (authenticator, error){
	config.AuthAnonymous:   func(authContext) (authenticator, error) { return authenticator{Authenticator: auth.Anonymous{}}, nil },
	config.AuthCertificate: func(authContext) (authenticator, error) { return authenticator{Authenticator: auth.Certificate{}}, nil },
	config.AuthPassword:    openPasswords,
	config.AuthJWT:         openTokens,
	config.AuthHTTP:        openHook,
}

func openPasswords(c authContext) (authenticator, error) {
	a, err := password.Open(password.Options{Key: "auth.password_file", File: c.cfg.Auth.PasswordFile, Brake: c.brake, Logger: c.log, Registry: c.registry})
	if err != nil {
		return authenticator{}, err
	}
	return authenticator{Authenticator: a, run: a.Run}, nil
}

// openAuth makes the methods that the listeners use.
func (n *Node) openAuth() error {
	n.authBrake, n.auth = auth.NewBrake(), map[string]authenticator{}
	c := authContext{cfg: n.cfg, log: n.log, brake: n.authBrake, registry: n.registry}
	for _, l := range n.cfg.Listeners() {
		for _, name := range l.Auth {
			if _, made := n.auth[name]; made {
				continue
			}
			a, err := authBuilders[name](c)
			if err != nil {
				return err
			}
			n.auth[name] = a
		}
	}
	return nil
}

// CheckAuth looks whether the methods of a configuration can be used: their files are read.
func CheckAuth(cfg *config.Config) error {
	n := &Node{cfg: cfg, log: zap.NewNop(), registry: prometheus.NewRegistry()}
	return n.openAuth()
}

// chain is how the devices of a listener prove who they are.
func (n *Node) chain(l config.Listener) *auth.Chain {
	c := &auth.Chain{Brake: n.authBrake}
	for _, name := range l.Auth {
		a := n.auth[name].Authenticator
		if name == config.AuthAnonymous {
			a = auth.Anonymous{Everyone: len(l.Auth) == 1}
		}
		c.Methods = append(c.Methods, auth.Method{Name: name, Authenticator: a})
	}
	return c
}

// runAuth looks after the methods until ctx ends.
func (n *Node) runAuth(ctx context.Context) {
	for _, a := range n.auth {
		if a.run != nil {
			n.serving.Go(func() { a.run(ctx, n.gateway.Recheck) })
		}
	}
}

// tellOpen warns of listeners that others can reach and that let everybody in: it was said so, and is good to know.
func (n *Node) tellOpen() {
	for _, l := range n.cfg.Listeners() {
		if slices.Equal(l.Auth, []string{config.AuthAnonymous}) && !l.IsLoopback() {
			n.log.Warn(fmt.Sprintf("everybody who reaches %s is let in: auth.methods is anonymous", l.Key), zap.String("address", l.Address))
		}
	}
}
