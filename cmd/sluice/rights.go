package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/pflag"

	"sluice/gateway/config"
	"sluice/gateway/node"
	"sluice/gateway/permit"
	"sluice/mapping/rules/explain"
)

// rightsQuestion is what sluice explain --as asks besides what it asks of mapping rules.
type rightsQuestion struct {
	as, policy     string
	groups, claims []string
	will           bool
}

func (r *rightsQuestion) register(f *pflag.FlagSet) {
	f.StringVar(&r.as, "as", "", "principal whose rights are asked for")
	f.StringArrayVar(&r.groups, "group", nil, "with --as: a group of the principal (may be repeated)")
	f.StringArrayVar(&r.claims, "claim", nil, "with --as: a claim name=value of the principal (may be repeated)")
	f.BoolVar(&r.will, "will", false, "with --as: the message is the device's Will")
	f.StringVar(&r.policy, "policy", "", "with --as: a policy file to be asked in place of the one of the configuration")
}

// check refuses flags that would be left unused.
func (r *rightsQuestion) check() error {
	if r.as == "" && (r.policy != "" || r.will || len(r.groups) > 0 || len(r.claims) > 0) {
		return errors.New("--group, --claim, --will and --policy ask for rights: name the principal with --as")
	}
	return nil
}

// ask answers by the policy file that was named, or what the configuration has.
func (r *rightsQuestion) ask(cfg *config.Config, q *explain.Question) (e permit.Explanation, err error) {
	ask := permit.Question{ClientID: q.ClientID, Topic: q.Topic, Filter: q.Filter, QoS: q.QoS, Retain: q.Retain, Will: r.will}
	ask.Principal.Name, ask.Principal.Tenant, ask.Principal.Groups = r.as, q.Tenant, r.groups
	if ask.Principal.Claims, err = permit.ParseClaims(r.claims); err != nil {
		return e, fmt.Errorf("--claim: %w", err)
	}
	var p *permit.Policy
	if r.policy != "" {
		p, err = node.ReadPolicy("--policy", r.policy)
	} else {
		p, err = node.OpenPolicy(cfg)
	}
	switch {
	case err != nil:
		return e, err
	case p == nil:
		return permit.Everything(ask)
	}
	return p.Explain(ask)
}

// checkPolicy says what devices may do.
func checkPolicy(_ context.Context, cfg *config.Config) (string, error) {
	p, err := node.OpenPolicy(cfg)
	switch {
	case err != nil:
		return "", err
	case p == nil:
		return "devices may publish and subscribe to everything (access.default is all)", nil
	case cfg.Access.Policy == "":
		return "each device may use the topics below its own name only (access.default is own; access.policy may say more)", nil
	}
	return fmt.Sprintf("%d rules in %s (sluice explain --as says what they allow)", p.Len(), cfg.Access.Policy), nil
}
