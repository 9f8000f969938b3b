# shellcheck shell=bash
# Processes that outlive this script, found again by process id and start time (an id alone can be reused).

# One command at a time per cache: two `up` at once would build the same root twice. Descriptor 9 holds the lock and is
# closed for everything that stays running.
locked() {
	mkdir -p "$RUN"
	exec 9>"$RUN/lock"
	flock -n 9 || {
		say "another scripts/services is at work, waiting for it"
		flock 9
	}
	"$@"
}

# Nothing for a process that has ended, reaped or not.
start_time() { awk '{ sub(/.*\) /, ""); if ($1 != "Z" && $1 != "X") print $20 }' "/proc/$1/stat" 2>/dev/null; }

# A session of its own and no inherited descriptor: the service survives the caller and never holds its stdout open.
spawn() {
	local name=$1
	shift
	setsid "$@" </dev/null >>"$(log_file "$name")" 2>&1 9>&- &
	local pid=$!
	printf '%s %s\n' "$pid" "$(start_time "$pid")" >"$RUN/$name.pid"
}

# Prints the service's process id if it lives.
service_pid() {
	local pid started
	read -r pid started 2>/dev/null <"$RUN/$1.pid" || return 1
	[ -n "$started" ] && [ "$(start_time "$pid")" = "$started" ] || return 1
	printf '%s\n' "$pid"
}

# The processes whose parent is the given one. Read from /proc: a bare Debian has no pgrep.
children() {
	local stat rest state parent
	for stat in /proc/[0-9]*/stat; do
		read -r rest 2>/dev/null <"$stat" || continue
		read -r state parent rest <<<"${rest##*) }"
		[ "$parent" != "$1" ] || [ "$state" = Z ] || basename "$(dirname "$stat")"
	done
}

all_ended() {
	local pid
	for pid in "$@"; do [ -z "$(start_time "$pid")" ] || return 1; done
}

gone() { ! service_pid "$1" >/dev/null; }

# until_true SECONDS COMMAND...: polls; the deadline is real time, not a count of tries.
until_true() {
	local deadline=$((SECONDS + $1))
	shift
	until "$@"; do
		[ "$SECONDS" -lt "$deadline" ] || return 1
		sleep 0.1
	done
}
