package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"sluice/amqp"
	"sluice/gateway/config"
	"sluice/gateway/node"
	"sluice/mapping"
)

func quarantineCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "quarantine",
		Short: "Look after messages that were refused for good",
		Long: "The quarantine (quarantine.address) keeps messages that a device refused, that cannot be delivered, or that the bus refused where a rule says\n" +
			"on_error: quarantine. Each is as it was, with the reason. See docs/events.md.",
		Example: "  sluice quarantine ls\n  sluice quarantine show 0a1b2c3d4e5f\n  sluice quarantine replay 0a1b2c3d4e5f\n  sluice quarantine drop --all --yes",
	}
	return group(cmd, quarantineLs(), quarantineShow(), quarantineReplay(), quarantineDrop())
}

// inmate is a message in the quarantine.
type inmate struct {
	amqp.Delivery
	mapping.Quarantined
}

// ward is the quarantine as a command sees it.
type ward struct {
	settings
	limit int
	wait  time.Duration

	cfg *config.Config
	bus amqp.Bus
	b   *browser
}

func (w *ward) register(cmd *cobra.Command) {
	w.settings.register(cmd)
	cmd.Flags().IntVar(&w.limit, "limit", browseMax, "look at this many messages, the oldest first")
	cmd.Flags().DurationVar(&w.wait, "wait", time.Second, "how long the bus may bring nothing before that is taken for the end")
}

// visit looks at the messages, oldest first, until look has enough. What look does not settle stays where it is. It gives the number of messages
// seen.
func (w *ward) visit(cmd *cobra.Command, look func(ctx context.Context, m inmate) (goOn bool, err error)) (seen int, err error) {
	if w.limit < 1 || w.limit > browseMax {
		return 0, fmt.Errorf("--limit %d: write a number from 1 to %d", w.limit, browseMax)
	}
	if w.cfg, err = w.load(cmd); err != nil {
		return 0, err
	}
	queue, err := queueOf("quarantine.address", w.cfg.Quarantine)
	if err != nil {
		return 0, err
	}
	ctx := cmd.Context()
	bus, err := openBus(ctx, w.cfg)
	if err != nil {
		return 0, err
	}
	defer closeBus(bus)
	w.bus = bus
	var prepare func(context.Context) error
	if queue == w.cfg.Quarantine { // ours, and perhaps no node has been there yet
		prepare = func(ctx context.Context) error { return bus.EnsureInbox(ctx, node.QuarantineQueue(queue)) }
	}
	w.b = browse(bus, queue, prepare)
	defer w.b.close()
	if err := w.b.begin(ctx, uint32(w.limit)); err != nil {
		return 0, fmt.Errorf("queue %s: %w", queue, err)
	}
	return w.each(ctx, look)
}

func (w *ward) each(ctx context.Context, look func(ctx context.Context, m inmate) (bool, error)) (seen int, err error) {
	for seen < w.limit {
		quiet := time.NewTimer(w.wait)
		select {
		case d := <-w.b.deliveries:
			seen++
			m := inmate{Delivery: d}
			if d.Message != nil {
				m.Quarantined, _ = mapping.ReadQuarantined(d.Message)
			}
			if goOn, err := look(ctx, m); err != nil || !goOn {
				return seen, err
			}
		case <-quiet.C:
			return seen, nil
		case err := <-w.b.lost:
			return seen, fmt.Errorf("the bus is gone: %w", err)
		case <-ctx.Done():
			return seen, ctx.Err()
		}
		quiet.Stop()
	}
	return seen, nil
}

func quarantineLs() *cobra.Command {
	var w ward
	cmd := &cobra.Command{
		Use:   "ls",
		Short: "List what is in the quarantine, the oldest first",
		Args:  arguments(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			table := tabwriter.NewWriter(cmd.OutOrStdout(), 0, 0, 2, ' ', 0)
			fmt.Fprintln(table, "ID\tTIME\tFAILURE\tCLIENT\tTOPIC\tREASON")
			seen, err := w.visit(cmd, func(_ context.Context, m inmate) (bool, error) {
				fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%s\t%s\n", dash(m.ID), when(m.At), dash(m.Name), dash(m.Client), dash(m.Topic), oneLine(m.why()))
				return true, nil
			})
			if seen > 0 || err == nil {
				_ = table.Flush()
			}
			if err == nil && seen == w.limit {
				fmt.Fprintf(cmd.ErrOrStderr(), "%d messages, and perhaps more\n", seen)
			}
			return err
		},
	}
	w.register(cmd)
	return cmd
}

func quarantineShow() *cobra.Command {
	var w ward
	cmd := &cobra.Command{
		Use:   "show ID",
		Short: "Print a message in the quarantine with all that is known of it",
		Args:  arguments("ID"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return w.named(cmd, args, func(_ context.Context, m inmate) error {
				showInmate(cmd.OutOrStdout(), w.cfg.Dialect, m)
				return nil
			})
		},
	}
	w.register(cmd)
	return cmd
}

func quarantineReplay() *cobra.Command {
	var w ward
	var all bool
	cmd := &cobra.Command{
		Use:   "replay [ID...]",
		Short: "Send messages to where they were to go, then remove them from the quarantine",
		Long: "Sends each message, as it was, to the address where it was to go, or by which it came: whoever listens there gets it. It leaves the quarantine\n" +
			"once the bus has accepted it. What the bus does not accept stays, and the command ends with status 1.",
		RunE: func(cmd *cobra.Command, args []string) error {
			failed := 0
			err := w.chosen(cmd, args, all, func(ctx context.Context, m inmate) error {
				if err := w.replay(ctx, m); err != nil {
					failed++
					fmt.Fprintf(cmd.ErrOrStderr(), "%s stays in the quarantine: %v\n", dash(m.ID), err)
					return nil
				}
				fmt.Fprintf(cmd.OutOrStdout(), "%s sent to %s\n", m.ID, m.Address)
				return nil
			})
			if err == nil && failed > 0 {
				err = fmt.Errorf("messages that could not be sent: %d", failed)
			}
			return err
		},
	}
	w.register(cmd)
	cmd.Flags().BoolVar(&all, "all", false, "all messages, up to --limit")
	return cmd
}

func (w *ward) replay(ctx context.Context, m inmate) error {
	if m.Message == nil {
		return fmt.Errorf("it cannot be read: %w", m.Malformed)
	}
	out, ok := w.cfg.Dialect.Release(m.Message)
	if !ok {
		return errors.New("no node has put it there, so where it was to go is not known")
	}
	if at := out.Properties.AbsoluteExpiry; !at.IsZero() && time.Now().After(at) {
		return fmt.Errorf("it expired at %s", when(at))
	}
	if err := send(ctx, w.bus, out, replayWait); err != nil {
		return err
	}
	w.b.accept(m.Delivery)
	return nil
}

func quarantineDrop() *cobra.Command {
	var w ward
	var all, yes bool
	cmd := &cobra.Command{
		Use:   "drop [ID...]",
		Short: "Remove messages from the quarantine, for good",
		RunE: func(cmd *cobra.Command, args []string) error {
			if all && !yes {
				return errors.New("--all removes everything for good: add --yes if you mean it")
			}
			return w.chosen(cmd, args, all, func(_ context.Context, m inmate) error {
				w.b.accept(m.Delivery)
				fmt.Fprintf(cmd.OutOrStdout(), "%s dropped\n", dash(m.ID))
				return nil
			})
		},
	}
	w.register(cmd)
	cmd.Flags().BoolVar(&all, "all", false, "all messages, up to --limit")
	cmd.Flags().BoolVar(&yes, "yes", false, "with --all: yes, for good")
	return cmd
}

// chosen calls do for the messages with these ids, or for all.
func (w *ward) chosen(cmd *cobra.Command, ids []string, all bool, do func(context.Context, inmate) error) error {
	switch {
	case all && len(ids) > 0:
		return errors.New("give IDs or --all, not both")
	case !all && len(ids) == 0:
		return errors.New("which? Give the IDs that `sluice quarantine ls` prints, or --all")
	case all:
		_, err := w.visit(cmd, func(ctx context.Context, m inmate) (bool, error) { return true, do(ctx, m) })
		return err
	}
	return w.named(cmd, ids, do)
}

// named calls do for the messages with these ids, and fails for those that are not there.
func (w *ward) named(cmd *cobra.Command, ids []string, do func(context.Context, inmate) error) error {
	missing := slices.Clone(ids)
	seen, err := w.visit(cmd, func(ctx context.Context, m inmate) (bool, error) {
		if i := slices.Index(missing, m.ID); i >= 0 && m.ID != "" {
			missing = slices.Delete(missing, i, i+1)
			if err := do(ctx, m); err != nil {
				return false, err
			}
		}
		return len(missing) > 0, nil
	})
	if err == nil && len(missing) > 0 {
		err = fmt.Errorf("no message %s among the %d that were looked at; `sluice quarantine ls` lists them", strings.Join(missing, ", "), seen)
	}
	return err
}

func (m *inmate) why() string {
	switch {
	case m.Message == nil:
		return fmt.Sprintf("(cannot be read: %v)", m.Malformed)
	case m.ID == "":
		return "(not from a node)"
	}
	return m.Reason
}

func showInmate(out io.Writer, dialect mapping.Dialect, m inmate) {
	var b strings.Builder
	fmt.Fprintf(&b, "%s  %s  %s\n", m.ID, when(m.At), m.Name)
	line(&b, "reason", m.Reason)
	line(&b, "code", fmt.Sprintf("0x%02X %v", byte(m.Code), m.Code))
	line(&b, "condition", m.Condition)
	line(&b, "detail", m.Detail)
	for _, u := range m.User {
		line(&b, "said", u.Key+"="+u.Value)
	}
	line(&b, "rule", m.Rule)
	line(&b, "tenant", m.Tenant)
	line(&b, "principal", m.Principal)
	line(&b, "client", m.Client)
	line(&b, "topic", m.Topic)
	if m.PacketID != 0 {
		line(&b, "packet-id", fmt.Sprint(m.PacketID))
	}
	line(&b, "trace", m.Trace)
	b.WriteString("the message:\n")
	_, _ = io.WriteString(out, b.String())
	if original, ok := dialect.Release(m.Message); ok {
		printMessage(out, dialect, original)
	}
}

func dash(s string) string {
	if s == "" {
		return "-"
	}
	return oneLine(s)
}

// oneLine keeps what others wrote from breaking a table, or a terminal.
func oneLine(s string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7F {
			return ' '
		}
		return r
	}, s)
}

func when(t time.Time) string {
	if t.IsZero() {
		return "-"
	}
	return t.UTC().Format("2006-01-02T15:04:05Z")
}
