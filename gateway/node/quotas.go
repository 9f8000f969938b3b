package node

import (
	"context"

	"go.uber.org/zap"

	"sluice/gateway/config"
	"sluice/gateway/quota"
)

// OpenQuotas reads the quotas of a configuration. The file is nil where there are no exceptions.
func OpenQuotas(cfg *config.Config) (*quota.File, *quota.Rules, error) {
	if cfg.Quotas.File == "" {
		return nil, cfg.Quotas.Rules(nil), nil
	}
	file, exceptions, err := quota.OpenFile(cfg.Quotas.File)
	return file, cfg.Quotas.Rules(exceptions), err
}

func (n *Node) openQuotas() error {
	file, rules, err := OpenQuotas(n.cfg)
	if err != nil {
		return err
	}
	n.quotasOf, n.quotas = file, quota.NewBook(rules)
	return nil
}

// watchQuotas puts what the file says in force whenever it changes.
func (n *Node) watchQuotas(ctx context.Context) {
	n.quotasOf.Watch(ctx, func(e *quota.Exceptions) {
		n.quotas.SetRules(n.cfg.Quotas.Rules(e))
		n.log.Info("the quotas were read anew", zap.String("file", n.cfg.Quotas.File))
	}, func(err error) {
		n.log.Error("the quotas could not be read anew; the old ones hold", zap.Error(err))
	})
}
