# shellcheck shell=bash
# Third-party clients: mosquitto_pub and mosquitto_sub, mqtt.js and rhea under node, proton under python, openssl.

CLIENTS=$here/clients

# A directory per lock file, so that an older checkout keeps its own modules.
modules_home() { printf '%s/clients-%s\n' "$CACHE" "$(sha256sum "$CLIENTS/package-lock.json" | cut -c 1-12)"; }

# Python that can import proton, or nothing. Debian's package serves /usr/bin/python3 only.
find_python() {
	local candidate
	for candidate in "${SLUICE_TEST_PYTHON:-}" python3 /usr/bin/python3; do
		[ -n "$candidate" ] && "$candidate" -c 'import proton' 2>/dev/null && command -v "$candidate" && return
	done
	return 1
}

find_node() { command -v "${SLUICE_TEST_NODE:-node}"; }

find_mosquitto() {
	local given=SLUICE_TEST_MOSQUITTO_${1^^}
	if [ -n "${!given:-}" ]; then
		command -v "${!given}"
	elif [ -x "$CACHE/bin/mosquitto_$1" ] && [ -e "$ROOTS/forky/.sluice" ]; then
		printf '%s\n' "$CACHE/bin/mosquitto_$1"
	else
		command -v "mosquitto_$1"
	fi
}

find_openssl() { command -v "${SLUICE_TEST_OPENSSL:-openssl}"; }

# What apt has to bring, one word each.
missing_client_packages() {
	find_node >/dev/null || echo nodejs
	command -v npm >/dev/null || modules_ready || echo npm
	find_python >/dev/null || echo python3-qpid-proton
	find_openssl >/dev/null || echo openssl
	# A Debian root brings a newer mosquitto than the machine has.
	find_mosquitto pub >/dev/null || needs_debian_root || echo mosquitto-clients
}

wrap_mosquitto() {
	local LOADER name
	mkdir -p "$CACHE/bin"
	for name in mosquitto_pub mosquitto_sub; do
		loader_words forky "$name"
		{
			printf '#!/bin/sh\nexec'
			printf " '%s'" "${LOADER[@]}"
			printf ' "$@"\n'
		} >"$CACHE/bin/$name.new"
		chmod +x "$CACHE/bin/$name.new"
		mv "$CACHE/bin/$name.new" "$CACHE/bin/$name"
	done
}

modules_ready() { [ -e "$(modules_home)/.ready" ]; }

install_modules() {
	modules_ready && return
	local home
	home=$(modules_home)
	say "installing mqtt.js and rhea into $home"
	mkdir -p "$home"
	cp "$CLIENTS/package.json" "$CLIENTS/package-lock.json" "$home/"
	(cd "$home" && logged "$RUN/npm.log" npm ci --no-audit --no-fund --ignore-scripts) 9>&- ||
		die "npm ci failed in $home" "see the lines above; is the npm registry reachable?"
	touch "$home/.ready"
}

clients_ready() { modules_ready && [ -z "$(missing_clients)" ]; }

# Names what cannot be run, with the way to mend it; nothing if all is well.
missing_clients() {
	find_node >/dev/null || echo "node: install nodejs, or set SLUICE_TEST_NODE"
	find_python >/dev/null || echo "python with proton: install python3-qpid-proton, or set SLUICE_TEST_PYTHON"
	find_openssl >/dev/null || echo "openssl: install it, or set SLUICE_TEST_OPENSSL"
	local name
	for name in pub sub; do
		find_mosquitto "$name" >/dev/null || echo "mosquitto_$name: install mosquitto-clients, or set SLUICE_TEST_MOSQUITTO_${name^^}"
	done
}
