# shellcheck shell=bash
# What the scripts tell people. Everything goes to stderr: stdout belongs to `env` and to the wrapped tools.

say() { printf 'services: %s\n' "$*" >&2; }

die() {
	printf 'services: FAILED: %s\n' "$1" >&2
	shift
	local line
	for line in "$@"; do printf 'services:   %s\n' "$line" >&2; done
	exit 1
}

# Runs a command with its output in a log, and shows the log's end only if the command fails.
logged() {
	local log=$1
	shift
	mkdir -p "$(dirname "$log")"
	"$@" >"$log" 2>&1 </dev/null || {
		local code=$?
		tail -n 20 "$log" >&2
		say "the command was: $*; the whole log is $log"
		return "$code"
	}
}

log_file() { printf '%s/%s.log' "$RUN" "$1"; }
