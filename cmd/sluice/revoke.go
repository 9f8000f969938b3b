package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"
)

// revocation is one as the administration port writes it (docs/admin.md).
type revocation struct {
	ID         string     `json:"id,omitempty"`
	Tenant     string     `json:"tenant,omitempty"`
	Principal  string     `json:"principal,omitempty"`
	ClientID   string     `json:"client_id,omitempty"`
	Credential string     `json:"credential,omitempty"`
	Reason     string     `json:"reason,omitempty"`
	At         *time.Time `json:"at,omitempty"`
	Until      *time.Time `json:"until,omitempty"`
}

func (r revocation) what() string {
	switch {
	case r.Credential != "":
		return fmt.Sprintf("credential %q", r.Credential)
	case r.Principal != "":
		return fmt.Sprintf("principal %q of tenant %q", r.Principal, r.Tenant)
	}
	return fmt.Sprintf("client identifier %q of tenant %q", r.ClientID, r.Tenant)
}

func revokeCommand() *cobra.Command {
	var a adminClient
	var r revocation
	var last time.Duration
	cmd := &cobra.Command{
		Use:   "revoke",
		Short: "Close the connections of a principal, a client identifier or a credential, and keep them out",
		Long: "Revokes a principal, a client identifier or a credential: on every node its connections are closed within five seconds (0x87), and it is\n" +
			"refused until the revocation ends or is removed. Credentials that are made later are let in, if they say when they were made, as tokens do.\n" +
			"With sessions in memory it holds on the one node.",
		Example: "  sluice revoke --principal pump-7 --reason 'stolen from hall 2' --for 720h\n" +
			"  sluice revoke --credential jwt:https://issuer.example/4711\n" +
			"  sluice revoke list\n  sluice revoke remove 2XF5A7GYQ3",
		Args: commandBelow,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if r.Principal == "" && r.ClientID == "" && r.Credential == "" {
				return errors.New("say whom: --principal, --client-id or --credential")
			}
			if last != 0 {
				until := time.Now().Add(last)
				r.Until = &until
			}
			answer, err := a.ask(cmd, http.MethodPost, "/api/v1/revocations", nil, r)
			if err != nil {
				return err
			}
			var made revocation
			if err := json.Unmarshal(answer, &made); err != nil || made.Until == nil {
				return fmt.Errorf("the node's answer cannot be read: %q", answer)
			}
			_, err = fmt.Fprintf(cmd.OutOrStdout(), "%s\trevoked until %s: %s\n", made.ID, made.Until.Format(time.RFC3339), made.what())
			return err
		},
	}
	a.register(cmd)
	f := cmd.Flags()
	f.StringVar(&r.Principal, "principal", "", "name of a principal")
	f.StringVar(&r.ClientID, "client-id", "", "client identifier")
	f.StringVar(&r.Credential, "credential", "", "name of a credential, as logs and events have it")
	f.StringVar(&r.Tenant, "tenant", "", "tenant of the principal or the client identifier (default: default)")
	f.StringVar(&r.Reason, "reason", "", "why, for people")
	f.DurationVar(&last, "for", 0, "how long (default 720h)")
	cmd.AddCommand(revocationsCommand(), unrevokeCommand())
	return cmd
}

func revocationsCommand() *cobra.Command {
	var a adminClient
	cmd := &cobra.Command{
		Use: "list", Short: "List what is revoked", Args: arguments(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			list, err := a.revocations(cmd)
			if err != nil {
				return err
			}
			out := tabwriter.NewWriter(cmd.OutOrStdout(), 0, 0, 2, ' ', 0)
			for _, r := range list {
				if r.Until != nil && r.At != nil {
					fmt.Fprintf(out, "%s\t%s\tof %s\tuntil %s\t%q\n", r.ID, r.what(), r.At.Format(time.RFC3339), r.Until.Format(time.RFC3339), r.Reason)
				}
			}
			return out.Flush()
		},
	}
	a.register(cmd)
	return cmd
}

func (a *adminClient) revocations(cmd *cobra.Command) ([]revocation, error) {
	answer, err := a.ask(cmd, http.MethodGet, "/api/v1/revocations", nil, nil)
	if err != nil {
		return nil, err
	}
	var list struct{ Revocations []revocation }
	if err := json.Unmarshal(answer, &list); err != nil {
		return nil, fmt.Errorf("the node's answer cannot be read: %w", err)
	}
	return list.Revocations, nil
}

func unrevokeCommand() *cobra.Command {
	var a adminClient
	cmd := &cobra.Command{
		Use: "remove ID", Short: "Remove a revocation", Args: arguments("ID"),
		RunE: func(cmd *cobra.Command, args []string) error {
			list, err := a.revocations(cmd)
			if err != nil {
				return err
			}
			// The port removes twice without complaint, as a repeated request must; a name written wrong would pass for a success.
			if !slices.ContainsFunc(list, func(r revocation) bool { return r.ID == args[0] }) {
				return fmt.Errorf("there is no revocation %q; sluice revoke list lists them", args[0])
			}
			if _, err := a.ask(cmd, http.MethodDelete, "/api/v1/revocations/"+url.PathEscape(args[0]), nil, nil); err != nil {
				return err
			}
			_, err = fmt.Fprintf(cmd.OutOrStdout(), "%s\tremoved\n", args[0])
			return err
		},
	}
	a.register(cmd)
	return cmd
}

func clientCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "client",
		Short: "Show whom a client identifier belongs to, or free it",
		Long: "A client identifier belongs to the principal that has used it first, and a credential to the client identifier it was used with first\n" +
			"(docs/identity.md). When a device is replaced, its successor may need them freed.",
	}
	return group(cmd,
		ofClientCommand("show CLIENT-ID", "Show whom a client identifier belongs to", http.MethodGet),
		ofClientCommand("free CLIENT-ID", "Free a client identifier, and the credentials that belong to it", http.MethodDelete),
	)
}

func ofClientCommand(use, short, method string) *cobra.Command {
	var a adminClient
	var tenant string
	cmd := &cobra.Command{
		Use: use, Short: short, Args: arguments("CLIENT-ID"),
		RunE: func(cmd *cobra.Command, args []string) error {
			query := url.Values{"client_id": {args[0]}}
			if tenant != "" {
				query.Set("tenant", tenant)
			}
			answer, err := a.ask(cmd, method, "/api/v1/clients", query, nil)
			if err != nil {
				return err
			}
			if method == http.MethodDelete {
				_, err = fmt.Fprintf(cmd.OutOrStdout(), "%s\tfreed\n", args[0])
				return err
			}
			_, err = cmd.OutOrStdout().Write(answer)
			return err
		},
	}
	a.register(cmd)
	cmd.Flags().StringVar(&tenant, "tenant", "", "its tenant (default: default)")
	return cmd
}
