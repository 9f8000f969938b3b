package main

import (
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"
)

// arguments wants the arguments of these names; one in brackets may be left out. The library's own checks count arguments and do not say what
// they are.
func arguments(names ...string) cobra.PositionalArgs {
	least := 0
	for _, name := range names {
		if !strings.HasPrefix(name, "[") {
			least++
		}
	}
	return func(cmd *cobra.Command, args []string) error {
		switch {
		case len(args) < least:
			return fmt.Errorf("%s: missing %s%s", cmd.CommandPath(), strings.Join(names[len(args):least], " and "), seeHelp(cmd))
		case len(args) > len(names) && len(names) == 0:
			return fmt.Errorf("%s takes no arguments, and %q is one%s", cmd.CommandPath(), args[0], seeHelp(cmd))
		case len(args) > len(names):
			return fmt.Errorf("%s takes %s, and %q is too much; quote what holds spaces or wildcards%s", cmd.CommandPath(), strings.Join(names, " and "), args[len(names)], seeHelp(cmd))
		}
		return nil
	}
}

func seeHelp(cmd *cobra.Command) string { return " (" + cmd.CommandPath() + " --help)" }

// group makes a command of those below it: alone it prints its help. The library would print it for a command that does not exist too, and call that a success.
func group(cmd *cobra.Command, below ...*cobra.Command) *cobra.Command {
	cmd.AddCommand(below...)
	cmd.Args = commandBelow
	cmd.DisableFlagsInUseLine = true
	cmd.RunE = func(cmd *cobra.Command, _ []string) error { return cmd.Help() }
	return cmd
}

// commandBelow refuses what is no command of cmd.
func commandBelow(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	cmd.SuggestionsMinimumDistance = 2 // as the library has it for the first level only
	if like := cmd.SuggestionsFor(args[0]); len(like) > 0 {
		return fmt.Errorf("%s: there is no command %q; did you mean %s?", cmd.CommandPath(), args[0], strings.Join(like, " or "))
	}
	return fmt.Errorf("%s: there is no command %q%s", cmd.CommandPath(), args[0], seeHelp(cmd))
}

// flagFault is the error of a flag that is wrong.
func flagFault(cmd *cobra.Command, err error) error {
	return fmt.Errorf("%s: %w%s", cmd.CommandPath(), err, seeHelp(cmd))
}

// configurationFault is the error of a configuration with one fault or several, each a line.
func configurationFault(err error) error {
	if strings.Contains(err.Error(), "\n") {
		return fmt.Errorf("the configuration cannot be used:\n%w", err)
	}
	return fmt.Errorf("the configuration cannot be used: %w", err)
}

var errNotNow = errors.New("serve would not work with this configuration now: mend what FAILED")
