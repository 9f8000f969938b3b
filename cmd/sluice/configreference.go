package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"sluice/gateway/config"
)

// configCommand prints the configuration reference, from which docs/configuration.md is made.
func configCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "config",
		Short: "Print the configuration reference as Markdown",
		Args:  arguments(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			_, err := fmt.Fprint(cmd.OutOrStdout(), config.Reference())
			return err
		},
	}
}
