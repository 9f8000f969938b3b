# shellcheck shell=bash
# Redis servers: 8, 7.0 as the oldest that the store supports, and a pair of 8, where redis-replica is a copy of
# redis-replicated. Tests stop the replica, so nothing else uses that pair.

redis_root() { [ "$1" = redis7 ] && echo bookworm || echo forky; }
redis_port() {
	case $1 in
	redis) echo "$PORT_REDIS" ;;
	redis7) echo "$PORT_REDIS7" ;;
	redis-replicated) echo "$PORT_REDIS_REPLICATED" ;;
	redis-replica) echo "$PORT_REDIS_REPLICA" ;;
	esac
}

redis_prepare() { rabbitmq_prepare; }
redis7_prepare() { debian_root bookworm sid redis-server; }
redis-replicated_prepare() { rabbitmq_prepare; }
redis-replica_prepare() { rabbitmq_prepare; }

# As production should run it: append-only file, no eviction. DEBUG is for tests that make Redis slow.
REDIS_OPTIONS=(--appendonly yes --appendfsync everysec --save '' --maxmemory-policy noeviction --enable-debug-command yes)
# A replica that comes back is served at once.
REPLICATION_OPTIONS=(--repl-diskless-sync-delay 0)

redis_start_one() {
	local name=$1 LOADER
	shift
	loader_words "$(redis_root "$name")" redis-server
	mkdir -p "$RUN/data-$name"
	spawn "$name" "${LOADER[@]}" --bind "$HOST" --port "$(redis_port "$name")" --dir "$RUN/data-$name" --daemonize no "${REDIS_OPTIONS[@]}" "$@"
}

redis_start() { redis_start_one redis; }
redis7_start() { redis_start_one redis7; }
redis-replicated_start() { redis_start_one redis-replicated "${REPLICATION_OPTIONS[@]}"; }
redis-replica_start() { redis_start_one redis-replica --replicaof "$HOST" "$PORT_REDIS_REPLICATED" "${REPLICATION_OPTIONS[@]}"; }
redis_terminate() { kill -TERM "$1"; }
redis7_terminate() { kill -TERM "$1"; }
redis-replicated_terminate() { kill -TERM "$1"; }
redis-replica_terminate() { kill -TERM "$1"; }
redis_forget() { rm -rf "$RUN/data-redis"; }
redis7_forget() { rm -rf "$RUN/data-redis7"; }
redis-replicated_forget() { rm -rf "$RUN/data-redis-replicated"; }
redis-replica_forget() { rm -rf "$RUN/data-redis-replica"; }
redis_version() { root_version forky redis-server; }
redis7_version() { root_version bookworm redis-server; }
redis-replicated_version() { redis_version; }
redis-replica_version() { redis_version; }
redis_ready() { redis_answers "$PORT_REDIS"; }
redis7_ready() { redis_answers "$PORT_REDIS7"; }
redis-replicated_ready() { redis_answers "$PORT_REDIS_REPLICATED"; }
# It is of use once its primary hears of it.
redis-replica_ready() { redis_answers "$PORT_REDIS_REPLICA" && redis_has_replica "$PORT_REDIS_REPLICATED"; }

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
