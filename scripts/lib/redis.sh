# shellcheck shell=bash
# Redis servers: 8, 7.0 as the oldest that the store supports, and a pair of 8, where redis-replica is a copy of
# redis-replicated. Tests stop the replica, so nothing else uses that pair. redis-sentinel watches the pair.

redis_root() { [ "$1" = redis7 ] && echo bookworm || echo forky; }
redis_port() {
	case $1 in
	redis) echo "$PORT_REDIS" ;;
	redis7) echo "$PORT_REDIS7" ;;
	redis-replicated) echo "$PORT_REDIS_REPLICATED" ;;
	redis-replica) echo "$PORT_REDIS_REPLICA" ;;
	redis-sentinel) echo "$PORT_REDIS_SENTINEL" ;;
	esac
}

redis_prepare() { rabbitmq_prepare; }
redis7_prepare() { debian_root bookworm sid redis-server; }
redis-replicated_prepare() { rabbitmq_prepare; }
redis-replica_prepare() { rabbitmq_prepare; }
redis-sentinel_prepare() { rabbitmq_prepare; }

# As production should run it: append-only file, no eviction. DEBUG is for tests that make Redis slow.
REDIS_OPTIONS=(--appendonly yes --appendfsync everysec --save '' --maxmemory-policy noeviction --enable-debug-command yes --databases 128)
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

# One Sentinel decides alone and quickly. It keeps what it learns in its configuration file.
# sentinel_settings PORT HOST_OF_PRIMARY PORT_OF_PRIMARY
sentinel_settings() {
	cat <<CONF
port $1
sentinel resolve-hostnames yes
sentinel monitor sluice $2 $3 1
sentinel down-after-milliseconds sluice 1000
sentinel failover-timeout sluice 10000
CONF
}

redis-sentinel_start() {
	local LOADER data=$RUN/data-redis-sentinel
	loader_words "$(redis_root redis-sentinel)" redis-server
	mkdir -p "$data"
	[ -e "$data/sentinel.conf" ] || sentinel_settings "$PORT_REDIS_SENTINEL" "$HOST" "$PORT_REDIS_REPLICATED" >"$data/sentinel.conf"
	spawn redis-sentinel "${LOADER[@]}" "$data/sentinel.conf" --sentinel --bind "$HOST" --dir "$data" --daemonize no
}

redis_terminate() { kill -TERM "$1"; }
redis7_terminate() { kill -TERM "$1"; }
redis-replicated_terminate() { kill -TERM "$1"; }
redis-replica_terminate() { kill -TERM "$1"; }
redis-sentinel_terminate() { kill -TERM "$1"; }
redis_forget() { rm -rf "$RUN/data-redis"; }
redis7_forget() { rm -rf "$RUN/data-redis7"; }
redis-replicated_forget() { rm -rf "$RUN/data-redis-replicated"; }
redis-replica_forget() { rm -rf "$RUN/data-redis-replica"; }
redis-sentinel_forget() { rm -rf "$RUN/data-redis-sentinel"; }
redis_version() { root_version forky redis-server; }
redis7_version() { root_version bookworm redis-server; }
redis-replicated_version() { redis_version; }
redis-replica_version() { redis_version; }
redis-sentinel_version() { redis_version; }
redis_ready() { redis_answers "$PORT_REDIS"; }
redis7_ready() { redis_answers "$PORT_REDIS7"; }
redis-replicated_ready() { redis_answers "$PORT_REDIS_REPLICATED"; }
# It is of use once its primary hears of it.
redis-replica_ready() { redis_answers "$PORT_REDIS_REPLICA" && redis_has_replica "$PORT_REDIS_REPLICATED"; }
redis-sentinel_ready() { redis_answers "$PORT_REDIS_SENTINEL"; }

redis_cli() { redis_cli_of redis "$@"; }

# redis_cli_of NAME WORDS...
redis_cli_of() {
	local name=$1
	shift
	case $(origin "$name") in
	debian)
		local LOADER
		loader_words forky redis-cli
		"${LOADER[@]}" -h "$HOST" -p "$(redis_port "$name")" "$@"
		;;
	docker) docker exec "$(container "$name")" redis-cli "$@" ;;
	*) die "the Redis at $(service_url "$name") was not started here; use a redis-cli of your own" ;;
	esac
}

# redis_replicaof NAME OTHER|none
redis_replicaof() {
	not_external "$1"
	local words=(NO ONE)
	[ "$2" = none ] || case $(origin "$2") in
	docker) words=("$(container "$2")" 6379) ;;
	*) words=("$HOST" "$(redis_port "$2")") ;;
	esac
	local answer
	answer=$(redis_cli_of "$1" REPLICAOF "${words[@]}") || true
	[[ $answer = OK* ]] || die "$1 refused REPLICAOF ${words[*]}" "$answer"
}
