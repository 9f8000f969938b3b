# shellcheck shell=bash
# Two Redis servers: 8, and 7.0 as the oldest that the store supports.

redis_root() { [ "$1" = redis ] && echo forky || echo bookworm; }
redis_port() { [ "$1" = redis ] && echo "$PORT_REDIS" || echo "$PORT_REDIS7"; }

redis_prepare() { rabbitmq_prepare; }
redis7_prepare() { debian_root bookworm sid redis-server; }

# As production should run it: append-only file, no eviction. DEBUG is for tests that make Redis slow.
REDIS_OPTIONS=(--appendonly yes --appendfsync everysec --save '' --maxmemory-policy noeviction --enable-debug-command yes)

redis_start_one() {
	local LOADER
	loader_words "$(redis_root "$1")" redis-server
	mkdir -p "$RUN/data-$1"
	spawn "$1" "${LOADER[@]}" --bind "$HOST" --port "$(redis_port "$1")" --dir "$RUN/data-$1" --daemonize no "${REDIS_OPTIONS[@]}"
}

redis_start() { redis_start_one redis; }
redis7_start() { redis_start_one redis7; }
redis_terminate() { kill -TERM "$1"; }
redis7_terminate() { kill -TERM "$1"; }
redis_forget() { rm -rf "$RUN/data-redis"; }
redis7_forget() { rm -rf "$RUN/data-redis7"; }
redis_version() { root_version forky redis-server; }
redis7_version() { root_version bookworm redis-server; }
redis_ready() { redis_answers "$PORT_REDIS"; }
redis7_ready() { redis_answers "$PORT_REDIS7"; }

redis_cli() {
	case $(origin redis) in
	debian)
		local LOADER
		loader_words forky redis-cli
		"${LOADER[@]}" -h "$HOST" -p "$PORT_REDIS" "$@"
		;;
	docker) docker exec "$(container redis)" redis-cli "$@" ;;
	*) die "the Redis at $SLUICE_TEST_REDIS_URL was not started here; use a redis-cli of your own" ;;
	esac
}
