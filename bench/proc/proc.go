package proc

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// tick is the unit of processor time in /proc: Linux tells programs 100 a second on every architecture.
const tick = 10 * time.Millisecond

// Use is what a process and its descendants have used and hold.
type Use struct {
	CPU time.Duration // since each of them began; those that have ended are not in it
	RSS int64         // bytes
}

// Minus is what was used between two looks, and how the memory has changed.
func (u Use) Minus(before Use) Use { return Use{CPU: u.CPU - before.CPU, RSS: u.RSS - before.RSS} }

// Plus adds two groups of processes up.
func (u Use) Plus(other Use) Use { return Use{CPU: u.CPU + other.CPU, RSS: u.RSS + other.RSS} }

type stat struct {
	parent int
	cpu    time.Duration
}

// Read gives the use of the processes with their descendants. A process that is gone is an error: its figures would be missing unnoticed.
func Read(pids ...int) (Use, error) {
	if len(pids) == 0 {
		return Use{}, nil
	}
	all, err := stats()
	if err != nil {
		return Use{}, err
	}
	var total Use
	for _, pid := range pids {
		if _, ok := all[pid]; !ok {
			return Use{}, fmt.Errorf("process %d is gone", pid)
		}
		for p := range all {
			if descends(all, p, pid) {
				total.CPU += all[p].cpu
				total.RSS += rss(p)
			}
		}
	}
	return total, nil
}

func descends(all map[int]stat, pid, from int) bool {
	for pid > 1 {
		if pid == from {
			return true
		}
		pid = all[pid].parent
	}
	return false
}

func stats() (map[int]stat, error) {
	files, err := filepath.Glob("/proc/[0-9]*/stat")
	if err != nil {
		return nil, err
	}
	all := make(map[int]stat, len(files))
	for _, file := range files {
		content, err := os.ReadFile(file)
		if err != nil {
			continue // it has ended meanwhile
		}
		pid, _ := strconv.Atoi(strings.Split(file, "/")[2])
		// The name is in parentheses and may contain anything. Behind it, proc(5) counts from field 3.
		fields := strings.Fields(string(content[bytes.LastIndexByte(content, ')')+1:]))
		if len(fields) < 13 {
			return nil, fmt.Errorf("%s has %d fields behind the name", file, len(fields))
		}
		parent, _ := strconv.Atoi(fields[1])
		user, _ := strconv.ParseInt(fields[11], 10, 64)
		system, _ := strconv.ParseInt(fields[12], 10, 64)
		all[pid] = stat{parent: parent, cpu: time.Duration(user+system) * tick}
	}
	return all, nil
}

func rss(pid int) int64 {
	content, err := os.ReadFile(fmt.Sprintf("/proc/%d/statm", pid))
	if err != nil {
		return 0
	}
	fields := strings.Fields(string(content))
	if len(fields) < 2 {
		return 0
	}
	pages, _ := strconv.ParseInt(fields[1], 10, 64)
	return pages * int64(os.Getpagesize())
}

// Listening finds the process that listens on a TCP port. It must be visible: another user's is visible to root only, one in a container to nobody here
// (then it is the container engine's proxy that listens).
func Listening(port int) (int, error) {
	inode, err := listener(port)
	if err != nil {
		return 0, err
	}
	want := "socket:[" + inode + "]"
	links, err := filepath.Glob("/proc/[0-9]*/fd/*")
	if err != nil {
		return 0, err
	}
	for _, link := range links {
		if target, err := os.Readlink(link); err == nil && target == want {
			return strconv.Atoi(strings.Split(link, "/")[2])
		}
	}
	return 0, fmt.Errorf("the process that listens on port %d cannot be seen: run this as the same user, or as root", port)
}

// listener is the inode of the socket that listens on port.
func listener(port int) (string, error) {
	const stateListen = "0A"
	suffix := fmt.Sprintf(":%04X", port)
	for _, table := range []string{"/proc/net/tcp", "/proc/net/tcp6"} {
		file, err := os.Open(table)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return "", err
		}
		lines := bufio.NewScanner(file)
		inode := ""
		for lines.Scan() && inode == "" {
			if f := strings.Fields(lines.Text()); len(f) > 9 && f[3] == stateListen && strings.HasSuffix(f[1], suffix) {
				inode = f[9]
			}
		}
		_ = file.Close()
		if inode != "" {
			return inode, nil
		}
	}
	return "", fmt.Errorf("nothing listens on port %d of this machine", port)
}

// Own is the processor time of this process.
func Own() (Use, error) {
	all, err := stats()
	if err != nil {
		return Use{}, err
	}
	pid := os.Getpid()
	return Use{CPU: all[pid].cpu, RSS: rss(pid)}, nil
}
