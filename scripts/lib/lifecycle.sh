# shellcheck shell=bash
# Up, down and what lies between, for services of any origin: external (named by the environment), docker, debian.

known_service() {
	local name
	for name in "${SERVICES[@]}" "${EXTRAS[@]}"; do [ "$name" = "$1" ] && return; done
	die "there is no service '$1'" "there are: ${SERVICES[*]} ${EXTRAS[*]}"
}

# The part of a variable's name that a service has.
variable() { local name=${1^^}; printf '%s\n' "${name//-/_}"; }

service_url() {
	local name
	name=$(variable "$1")
	local own=OWN_${name}_URL given=SLUICE_TEST_${name}_URL
	printf '%s\n' "${!given:-${!own}}"
}

# Our own address in the environment is not "external": it is what `env` printed into this shell.
is_external() {
	local own
	own=OWN_$(variable "$1")_URL
	[ "$(service_url "$1")" != "${!own}" ]
}

# Where a service comes from. Decided once, at its first start, and remembered until `down`.
origin() {
	if is_external "$1"; then
		echo external
	elif [ "$1" = artemis ]; then
		echo debian # its jars, also where a Docker engine answers: one version and one configuration for all
	elif [ -s "$RUN/$1.origin" ]; then
		cat "$RUN/$1.origin"
	else
		case ${SLUICE_SERVICES:-} in
		docker | debian) echo "$SLUICE_SERVICES" ;;
		*) if docker_answers; then echo docker; else echo debian; fi ;;
		esac
	fi
}

service_runs() {
	case $(origin "$1") in
	external) true ;;
	docker) container_runs "$1" ;;
	debian) service_pid "$1" >/dev/null ;;
	esac
}

external_ready() {
	local url host
	url=$(service_url "$1")
	host=$(url_host "$url")
	case $url in
	amqps://* | rediss://*) port_open "$(url_port "$url" "$(case $url in amqps*) echo 5671 ;; *) echo 6379 ;; esac)")" "$host" ;;
	amqp://*) amqp_answers "$(url_port "$url" 5672)" "$host" ;;
	*) port_open "$(url_port "$url" 6379)" "$host" ;;
	esac
}

service_ready() { if is_external "$1"; then external_ready "$1"; else "${1}_ready"; fi; }

not_external() {
	is_external "$1" || return 0
	die "$1 at $(service_url "$1") was not started here, so it is not stopped or started here" \
		"unset SLUICE_TEST_$(variable "$1")_URL to get one that is"
}

service_prepare() {
	[ "$(origin "$1")" != debian ] || "${1}_prepare"
}

# The part of a start that does not wait.
service_launch() {
	local name=$1 from
	from=$(origin "$name")
	if [ "$from" = external ] || service_runs "$name"; then return; fi
	until_true 5 port_free "$name" || die "$name does not run here, but something answers on its port" \
		"stop that, or move our ports: SLUICE_PORT_OFFSET=1000 (any number)"
	say "starting $name ($from)"
	if [ "$from" = docker ]; then docker_start "$name"; else "${name}_start"; fi
	printf '%s\n' "$from" >"$RUN/$name.origin"
}

port_free() { ! port_open "$(url_port "$(service_url "$1")")"; }

ready_or_dead() { service_ready "$1" || ! service_runs "$1"; }

service_await() {
	if until_true "$START_DEADLINE" ready_or_dead "$1" && service_ready "$1"; then return; fi
	services_logs "$1" >&2
	if service_runs "$1"; then
		die "$1 does not answer at $(service_url "$1") after $START_DEADLINE s" "its log is above"
	fi
	die "$1 ended while starting" "its log is above"
}

service_start() {
	not_external "$1"
	service_prepare "$1"
	service_launch "$1"
	service_await "$1"
}

service_stop() {
	not_external "$1"
	service_runs "$1" || return 0
	say "stopping $1"
	if [ "$(origin "$1")" = docker ]; then
		docker stop -t "$STOP_DEADLINE" "$(container "$1")" >/dev/null
		return
	fi
	"${1}_terminate" "$(service_pid "$1")" || true
	until_true "$STOP_DEADLINE" gone "$1" || {
		say "$1 did not end within $STOP_DEADLINE s, killing it"
		service_kill "$1"
	}
}

service_kill() {
	not_external "$1"
	service_runs "$1" || return 0
	if [ "$(origin "$1")" = docker ]; then
		docker kill "$(container "$1")" >/dev/null
		return
	fi
	# RabbitMQ's is the process that holds its namespaces: all inside dies with it. Its child is the first process
	# inside, which the kernel ends after all others: only then are the ports free.
	local pid inside
	pid=$(service_pid "$1")
	mapfile -t inside < <(children "$pid")
	kill -KILL "$pid" "${inside[@]}"
	until_true "$STOP_DEADLINE" all_ended "$pid" "${inside[@]}" || die "$1 survives SIGKILL"
}

service_restart() {
	service_stop "$1"
	service_start "$1"
}

# services_up [NAME...]: without names all but the extras, and the clients.
services_up() {
	local name
	if [ $# -gt 0 ]; then
		for name in "$@"; do is_external "$name" || service_start "$name"; done
		services_env >"$RUN/env"
		return
	fi
	if all_up; then
		say "all is up"
		return
	fi
	prepare_all
	for name in "${SERVICES[@]}"; do service_launch "$name"; done
	for name in "${SERVICES[@]}"; do service_await "$name"; done
	local missing
	missing=$(missing_clients)
	[ -z "$missing" ] || die "some clients cannot be run" "$missing"
	services_env >"$RUN/env"
	say "all is up; the environment is in $RUN/env"
}

all_up() {
	local name
	for name in "${SERVICES[@]}"; do
		service_runs "$name" && service_ready "$name" || return 1
	done
	clients_ready
}

# The slow parts side by side: roots by debootstrap, packages by apt, modules by npm.
prepare_all() {
	rm -f "$RUN/apt.updated"
	if needs_debian_root && ! command -v debootstrap >/dev/null; then
		install_packages "to build Debian roots" debootstrap
	fi
	local jobs=() name job failed=0
	for name in rabbitmq artemis redis7; do
		service_prepare "$name" &
		jobs+=($!)
	done
	prepare_clients &
	jobs+=($!)
	for job in "${jobs[@]}"; do wait "$job" || failed=1; done
	[ "$failed" = 0 ] || die "something could not be prepared; see above"
	for name in redis redis-replicated redis-replica; do service_prepare "$name"; done
	if [ -e "$ROOTS/forky/.sluice" ]; then wrap_mosquitto; fi
}

needs_debian_root() {
	local name
	for name in "${SERVICES[@]}"; do
		# Artemis needs Java, and no root.
		[ "$name" = artemis ] || [ "$(origin "$name")" != debian ] || return 0
	done
	return 1
}

prepare_clients() {
	local packages=()
	mapfile -t packages < <(missing_client_packages)
	[ ${#packages[@]} -eq 0 ] || install_packages "third-party clients" "${packages[@]}"
	install_modules
}

services_down() {
	local name
	for name in "${EXTRAS[@]}" "${SERVICES[@]}"; do
		if is_external "$name"; then continue; fi
		service_stop "$name"
		if [ "$(origin "$name")" = docker ]; then
			docker rm -f -v "$(container "$name")" >/dev/null 2>&1 || true
		else
			"${name}_forget"
		fi
		rm -f "$RUN/$name.pid" "$RUN/$name.origin" "$(log_file "$name")"
	done
	rm -f "$RUN/env"
	say "all is down"
}

service_version() {
	case $(origin "$1") in
	debian) "${1}_version" ;;
	docker) docker inspect -f '{{.Config.Image}}' "$(container "$1")" 2>/dev/null || echo '?' ;;
	external) echo '?' ;;
	esac
}

services_status() {
	local name state failed=0 shown=("${SERVICES[@]}")
	for name in "${EXTRAS[@]}"; do
		if service_runs "$name"; then shown+=("$name"); fi
	done
	for name in "${shown[@]}"; do
		if ! service_runs "$name"; then
			state=stopped
		elif service_ready "$name"; then
			state=ready
		else
			state="not answering"
		fi
		[ "$state" = ready ] || failed=1
		printf '%-16s %-14s %-9s %-10s %s\n' "$name" "$state" "$(origin "$name")" "$(service_version "$name")" "$(service_url "$name")"
	done
	local missing
	missing=$(missing_clients)
	modules_ready || missing+=${missing:+$'\n'}"mqtt.js and rhea: scripts/services up installs them"
	if [ -n "$missing" ]; then
		failed=1
		while read -r name; do printf 'missing          %s\n' "$name"; done <<<"$missing"
	else
		printf 'mosquitto        %s\n' "$("$(find_mosquitto pub)" --version 2>&1 | head -n 1)"
		printf 'node             %s, mqtt.js and rhea in %s\n' "$("$(find_node)" --version)" "$(modules_home)"
		printf 'proton           %s\n' "$("$(find_python)" -c 'import proton; print(*proton.VERSION, sep=".")')"
	fi
	return "$failed"
}

services_env() {
	print_env RABBITMQ_URL "$(service_url rabbitmq)"
	print_env ARTEMIS_URL "$(service_url artemis)"
	if ! is_external rabbitmq; then
		print_env RABBITMQ_MQTT "$OWN_RABBITMQ_MQTT"
		if mqtt_tls; then print_env RABBITMQ_MQTTS "$OWN_RABBITMQ_MQTTS"; fi
	elif [ -n "${SLUICE_TEST_RABBITMQ_MQTT:-}" ]; then
		print_env RABBITMQ_MQTT "$SLUICE_TEST_RABBITMQ_MQTT"
	fi
	print_env REDIS_URL "$(service_url redis)"
	print_env REDIS7_URL "$(service_url redis7)"
	print_env REDIS_REPLICATED_URL "$(service_url redis-replicated)"
	print_env REDIS_REPLICA_URL "$(service_url redis-replica)"
	if service_runs redis-sentinel; then print_env REDIS_SENTINEL_URL "$(service_url redis-sentinel)"; fi
	if service_runs mosquitto; then
		print_env MOSQUITTO_URL "$(service_url mosquitto)"
		if ! is_external mosquitto && mqtt_tls; then print_env MOSQUITTO_MQTTS "$OWN_MOSQUITTO_MQTTS"; fi
	fi
	print_env MOSQUITTO_PUB "$(find_mosquitto pub || true)"
	print_env MOSQUITTO_SUB "$(find_mosquitto sub || true)"
	print_env OPENSSL "$(find_openssl || true)"
	print_env NODE "$(find_node || true)"
	print_env NODE_MODULES "$(modules_home)/node_modules"
	print_env PYTHON "$(find_python || true)"
	print_env SERVICES "$here/services"
}

print_env() { [ -z "$2" ] || printf 'export SLUICE_TEST_%s=%q\n' "$1" "$2"; }

services_logs() {
	local name
	for name in "${@:-${SERVICES[@]}}"; do
		printf -- '--- the last lines of %s\n' "$name"
		case $(origin "$name") in
		debian) tail -n 40 "$(log_file "$name")" 2>/dev/null || true ;;
		docker) docker logs --tail 40 "$(container "$name")" 2>&1 || true ;;
		external) printf 'external: %s\n' "$(service_url "$name")" ;;
		esac
	done
}
