# shellcheck shell=bash
# Debian as a source of programs: packages of the machine itself, and whole small systems ("roots") in the cache.
#
# A root gives versions that the machine's own release does not have. Most of its programs are run by the root's own
# dynamic loader: they see the machine's files, need no privilege and no mount. RabbitMQ is bound to absolute paths, so
# it runs inside its root, in mount and process namespaces of its own: when its first process ends, all of them end and
# every mount is gone.

is_root() { [ "$(id -u)" = 0 ]; }

# install_packages REASON PACKAGE...
install_packages() {
	local reason=$1
	shift
	command -v apt-get >/dev/null || die "$reason: $* missing, and this machine has no apt-get" "install it by the means of this system, then try again"
	is_root || die "$reason: $* missing" "as root: apt-get install --no-install-recommends $*"
	say "installing $* ($reason)"
	(
		exec 8>"$RUN/apt.lock"
		flock 8
		if [ ! -e "$RUN/apt.updated" ]; then
			logged "$RUN/apt-update.log" apt-get -q update
			touch "$RUN/apt.updated"
		fi
		DEBIAN_FRONTEND=noninteractive logged "$RUN/apt-$1.log" \
			apt-get install -y -q --no-install-recommends -o DPkg::Lock::Timeout=300 "$@"
	) 9>&- || die "apt-get could not install $*" "see the lines above; is the network there?"
}

debian_mirror() {
	local uri
	uri=$(cat /etc/apt/sources.list.d/debian.sources /etc/apt/sources.list 2>/dev/null |
		sed -n 's/^URIs: *//p; s/^deb \(\[[^]]*\] \)\?\([^ ]*\) .*/\2/p' | sed -n 1p)
	case $uri in
	*debian*) printf '%s\n' "$uri" ;;
	*) printf 'http://deb.debian.org/debian\n' ;;
	esac
}

root_ready() { [ "$(cat "$ROOTS/$1/.sluice" 2>/dev/null)" = "$2" ]; }

# debian_root SUITE SCRIPT PACKAGE...: builds the root unless it is there with these packages. SCRIPT is debootstrap's;
# an older debootstrap does not know a younger suite by name.
debian_root() {
	local suite=$1 script=$2
	shift 2
	root_ready "$suite" "$*" && return
	is_root || die "Debian $suite with $* is not built yet, and that needs root" \
		"run scripts/services up once as root, start a Docker engine, or name running services by SLUICE_TEST_RABBITMQ_URL and SLUICE_TEST_REDIS_URL"
	unshare --mount --pid --fork --propagation unchanged true 2>/dev/null || die "root may not make namespaces here (a container without privileges?)" \
		"give it CAP_SYS_ADMIN (docker run --privileged), or name running services by SLUICE_TEST_RABBITMQ_URL and SLUICE_TEST_REDIS_URL"
	say "building a Debian $suite root with $* in $ROOTS/$suite (about a minute, once)"
	local new=$ROOTS/$suite.new
	rm -rf --one-file-system "$new" "${ROOTS:?}/$suite"
	mkdir -p "$ROOTS"
	logged "$RUN/root-$suite.log" build_root "$suite" "$script" "$new" "$@" ||
		die "the Debian $suite root could not be built" "see the lines above; is $(debian_mirror) reachable?"
	printf '%s\n' "$*" >"$new/.sluice"
	mv "$new" "$ROOTS/$suite"
}

# root_version SUITE PACKAGE: without Debian's epoch and revision.
root_version() {
	dpkg-query --admindir="$ROOTS/$1/var/lib/dpkg" -W -f '${source:Upstream-Version}' "$2" 2>/dev/null || echo '?'
}

build_root() {
	local suite=$1 script=$2 new=$3 mirror
	shift 3
	mirror=$(debian_mirror)
	local include=()
	case $mirror in https:*) include=(--include=ca-certificates) ;; esac
	debootstrap --variant=minbase "${include[@]}" "$suite" "$new" "$mirror" "/usr/share/debootstrap/scripts/$script" || return
	# No package may start its daemon: ports and data directories would be the default ones.
	printf '#!/bin/sh\nexit 101\n' >"$new/usr/sbin/policy-rc.d"
	chmod +x "$new/usr/sbin/policy-rc.d"
	printf '127.0.0.1 localhost %s\n' "$(cat /proc/sys/kernel/hostname)" >"$new/etc/hosts"
	cp -L /etc/resolv.conf "$new/etc/resolv.conf" || return
	apt-config dump | sed -n '/^Acquire::\(http\|https\|Check\)/p' >"$new/etc/apt/apt.conf.d/00machine"
	cp -L /etc/ssl/certs/ca-certificates.crt "$new/etc/ssl/certs/" 2>/dev/null || true
	inside "$suite.new" env DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends "$@" || return
	inside "$suite.new" apt-get clean
}

# The words that run the rest of a command line inside a root. First process of its own namespaces; what it starts dies
# with it. Mount propagation is left as it is, because in a chroot it cannot be changed: "/" is no mount point there.
inside_words() {
	INSIDE=(unshare --mount --pid --fork --kill-child --propagation unchanged sh -c '
		root=$1; shift
		mount --make-rprivate / 2>/dev/null || true
		mount -t proc proc "$root/proc" && mount --rbind /dev "$root/dev" && exec chroot "$root" "$@"
	' _ "$ROOTS/$1")
}

inside() {
	local INSIDE
	inside_words "$1"
	shift
	"${INSIDE[@]}" "$@"
}

# The words that run a root's program by the root's own loader, on this machine's files.
loader_words() {
	local root=$ROOTS/$1 loader library
	loader=$(find "$root"/usr/lib/*-linux-gnu -maxdepth 1 -name 'ld-linux*.so.*' | head -n 1)
	library=$(dirname "$loader")
	LOADER=("$loader" --library-path "$library" --argv0 "$2" "$root/usr/bin/$2")
}
