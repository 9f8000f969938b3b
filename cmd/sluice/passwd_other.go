//go:build !unix

package main

import (
	"io/fs"
	"os"
)

// keepOwner does nothing: files here have no owner and permissions that could be kept.
func keepOwner(*os.File, fs.FileInfo) error { return nil }
