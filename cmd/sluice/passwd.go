package main

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"sluice/gateway/auth/password"
)

func passwdCommand() *cobra.Command {
	var (
		u      password.User
		remove bool
	)
	cmd := &cobra.Command{
		Use:   "passwd FILE NAME",
		Short: "Set the password of a user in a file, or remove the user",
		Long: "Sets the password of a user in the file that auth.password_file names; running nodes take it within seconds. The password is asked for on a terminal, or else read from\n" +
			"standard input, a line. What the file says of the user's tenant and groups is replaced as well. A device of the user that is connected is disconnected.",
		Example: "  sluice passwd passwords press-7\n  sluice passwd passwords press-7 --tenant plant-a --group presses --group hall-1\n  sluice passwd passwords press-7 --delete",
		Args:    arguments("FILE", "NAME"),
		RunE: func(cmd *cobra.Command, args []string) error {
			u.Name = args[1]
			return passwd(cmd, args[0], u, remove)
		},
	}
	cmd.Flags().StringVar(&u.Tenant, "tenant", "", "tenant of the user (default: default)")
	cmd.Flags().StringArrayVar(&u.Groups, "group", nil, "group of the user (may be repeated)")
	cmd.Flags().BoolVar(&remove, "delete", false, "remove the user")
	return cmd
}

func passwd(cmd *cobra.Command, file string, u password.User, remove bool) error {
	done := "is set"
	if remove {
		done = "is removed"
	} else {
		secret, err := askPassword(cmd.InOrStdin(), cmd.ErrOrStderr())
		if err != nil {
			return err
		}
		if u.Hash, err = password.Hash(secret); err != nil {
			return err
		}
	}
	if err := replaceFile(file, func(content []byte) ([]byte, error) {
		edited, found, err := password.Edit(content, u)
		if err == nil && remove && !found {
			err = fmt.Errorf("there is no user %q", u.Name)
		}
		return edited, err
	}); err != nil {
		return fmt.Errorf("%s: %w", file, err)
	}
	fmt.Fprintf(cmd.OutOrStdout(), "%s: the user %q %s\n", file, u.Name, done)
	return nil
}

// askPassword reads a password: twice and without showing it on a terminal, else a line.
func askPassword(in io.Reader, prompts io.Writer) ([]byte, error) {
	f, ok := in.(*os.File)
	if !ok || !term.IsTerminal(int(f.Fd())) {
		line, err := bufio.NewReader(in).ReadBytes('\n')
		if err != nil && !errors.Is(err, io.EOF) {
			return nil, fmt.Errorf("the password cannot be read from standard input: %w", err)
		}
		return bytes.TrimRight(line, "\r\n"), nil
	}
	ask := func(prompt string) ([]byte, error) {
		fmt.Fprint(prompts, prompt)
		defer fmt.Fprintln(prompts)
		return term.ReadPassword(int(f.Fd()))
	}
	first, err := ask("Password: ")
	if err != nil {
		return nil, err
	}
	again, err := ask("Again: ")
	if err != nil {
		return nil, err
	}
	if !bytes.Equal(first, again) {
		return nil, errors.New("the two are not the same; nothing was changed")
	}
	return first, nil
}

// replaceFile replaces a file in one step: who reads it sees the old content or the new one. A new file is for its owner only; one that is there keeps its owner and its
// permissions, but for those of everybody.
func replaceFile(file string, edit func([]byte) ([]byte, error)) error {
	if target, err := filepath.EvalSymlinks(file); err == nil {
		file = target
	}
	next, err := os.OpenFile(file+".new", os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600) // two at once would undo each other's work
	if errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("%s.new is there: another sluice passwd is at work, or one was interrupted; then remove that file", file)
	}
	if err != nil {
		return err
	}
	defer os.Remove(next.Name())
	err = fill(next, file, edit)
	if err := errors.Join(err, next.Close()); err != nil {
		return err
	}
	return os.Rename(next.Name(), file)
}

func fill(next *os.File, file string, edit func([]byte) ([]byte, error)) error {
	before, err := os.ReadFile(file)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	content, err := edit(before)
	if err != nil {
		return err
	}
	if info, err := os.Stat(file); err == nil {
		if err := keepOwner(next, info); err != nil {
			return err
		}
	}
	if _, err := next.Write(content); err != nil {
		return err
	}
	return next.Sync()
}
