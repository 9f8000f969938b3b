//go:build unix

package main

import (
	"fmt"
	"io/fs"
	"os"
	"syscall"
)

// keepOwner gives a file the owner and the permissions of the one it replaces: a node runs as a user of its own, and has to read it.
func keepOwner(next *os.File, before fs.FileInfo) error {
	if s, ok := before.Sys().(*syscall.Stat_t); ok {
		if err := next.Chown(int(s.Uid), int(s.Gid)); err != nil {
			return fmt.Errorf("the owner of the file cannot be kept: %w; run this as that user", err)
		}
	}
	return next.Chmod(before.Mode().Perm() &^ 0o007)
}
