package node

import (
	"context"
	"fmt"
	"time"

	"go.uber.org/zap"

	"sluice/gateway/config"
	"sluice/gateway/permit"
	"sluice/gateway/reload"
)

// policySource is the policy file of a configuration. Its Value is the policy once it is open.
func policySource(cfg *config.Config) *reload.Source[*permit.Policy] {
	file := cfg.Access.Policy
	return &reload.Source[*permit.Policy]{
		Name: "policy", Files: []string{file},
		Read: func(time.Time) (*permit.Policy, error) { return ReadPolicy("access.policy", file) },
	}
}

// ReadPolicy reads a policy file. The error names the key, the file and each fault.
func ReadPolicy(key, file string) (*permit.Policy, error) {
	content, err := reload.ReadFile(key, file, permit.FileMax)
	if err != nil {
		return nil, err
	}
	p, err := permit.Parse(content)
	if err != nil {
		return nil, fmt.Errorf("%s: %s:\n%w", key, file, err)
	}
	return p, nil
}

// OpenPolicy gives the policy of a configuration; nil: everything is allowed.
func OpenPolicy(cfg *config.Config) (*permit.Policy, error) {
	switch {
	case cfg.Access.Policy != "":
		return ReadPolicy("access.policy", cfg.Access.Policy)
	case cfg.Access.Default == config.AccessOwn:
		return permit.Own(), nil
	}
	return nil, nil
}

// openAccess reads the policy that the node starts with.
func (n *Node) openAccess() (err error) {
	if n.cfg.Access.Policy == "" {
		n.startPolicy, err = OpenPolicy(n.cfg)
		return err
	}
	n.policy = policySource(n.cfg)
	err = n.policy.Open(time.Now())
	n.startPolicy = n.policy.Value
	return err
}

// runAccess looks after the policy file until ctx ends. A file that cannot be used changes nothing.
func (n *Node) runAccess(ctx context.Context) {
	if n.policy == nil {
		return
	}
	n.serving.Go(func() {
		tick := time.NewTicker(reload.Pause)
		defer tick.Stop()
		for {
			select {
			case <-tick.C:
			case <-ctx.Done():
				return
			}
			news, err := n.policy.Look(time.Now())
			switch {
			case news && err != nil:
				n.gateway.PolicyRefused(err)
			case news:
				n.gateway.SetPolicy(n.policy.Value)
			}
		}
	})
}

// tellUnlimited warns of devices that may do everything although others than this machine's can connect: it was said so, and is good to know.
func (n *Node) tellUnlimited() {
	if n.startPolicy != nil {
		return
	}
	for _, l := range n.cfg.Listeners() {
		if !l.IsLoopback() {
			n.log.Warn("every device may publish and subscribe to everything: access.default is all", zap.String("listener", l.Key))
		}
	}
}
