# shellcheck shell=bash
# Containers as a source of services. Names are fixed, so that a later call finds them again.

RABBITMQ_IMAGE=rabbitmq:4.3
REDIS_IMAGE=redis:8
REDIS7_IMAGE=redis:7.0
MOSQUITTO_IMAGE=eclipse-mosquitto:2

docker_answers() { command -v docker >/dev/null && timeout 10 docker info >/dev/null 2>&1; }

container() { printf 'sluice-test%s-%s' "$SET" "$1"; }

container_runs() { [ "$(docker inspect -f '{{.State.Running}}' "$(container "$1")" 2>/dev/null)" = true ]; }

container_exists() { docker inspect "$(container "$1")" >/dev/null 2>&1; }

docker_run() {
	local name=$1
	shift
	logged "$RUN/docker-$name.log" docker run -d --name "$(container "$name")" "$@" ||
		die "Docker could not run $name" "see the lines above, or use Debian packages: SLUICE_SERVICES=debian"
}

# Where containers find each other by name. It stays: an empty network costs nothing.
DOCKER_NETWORK=sluice-test$SET
docker_network() {
	docker network inspect "$DOCKER_NETWORK" >/dev/null 2>&1 || docker network create "$DOCKER_NETWORK" >/dev/null
}

docker_start() {
	local name=$1
	if container_exists "$name"; then
		docker start "$(container "$name")" >/dev/null
		return
	fi
	case $name in
	rabbitmq)
		copy_certificate "$RUN"
		rabbitmq_settings 0.0.0.0 5672 1883 8883 /run/tls >"$RUN/rabbitmq.conf"
		rabbitmq_plugins >"$RUN/enabled_plugins"
		docker_run rabbitmq -p "$HOST:$PORT_AMQP:5672" -p "$HOST:$PORT_MQTT:1883" -p "$HOST:$PORT_MQTTS:8883" --ulimit nofile=20000:20000 \
			-v "$RUN/rabbitmq.conf:/etc/rabbitmq/rabbitmq.conf:ro" \
			-v "$RUN/enabled_plugins:/etc/rabbitmq/enabled_plugins:ro" -v "$RUN:/run/tls:ro" "$RABBITMQ_IMAGE"
		;;
	redis)
		docker_run redis -p "$HOST:$PORT_REDIS:6379" "$REDIS_IMAGE" redis-server "${REDIS_OPTIONS[@]}"
		;;
	redis7)
		docker_run redis7 -p "$HOST:$PORT_REDIS7:6379" "$REDIS7_IMAGE" redis-server "${REDIS_OPTIONS[@]}"
		;;
	redis-replicated)
		docker_network
		docker_run redis-replicated -p "$HOST:$PORT_REDIS_REPLICATED:6379" --network "$DOCKER_NETWORK" "$REDIS_IMAGE" \
			redis-server "${REDIS_OPTIONS[@]}" "${REPLICATION_OPTIONS[@]}"
		;;
	redis-replica)
		docker_network
		docker_run redis-replica -p "$HOST:$PORT_REDIS_REPLICA:6379" --network "$DOCKER_NETWORK" "$REDIS_IMAGE" \
			redis-server "${REDIS_OPTIONS[@]}" "${REPLICATION_OPTIONS[@]}" --replicaof "$(container redis-replicated)" 6379
		;;
	mosquitto)
		copy_certificate "$RUN"
		mosquitto_settings 0.0.0.0 1883 8883 /run/tls >"$RUN/mosquitto.conf"
		docker_run mosquitto -p "$HOST:$PORT_MOSQUITTO:1883" -p "$HOST:$PORT_MOSQUITTO_TLS:8883" --ulimit nofile=20000:20000 \
			-v "$RUN/mosquitto.conf:/mosquitto/config/mosquitto.conf:ro" -v "$RUN:/run/tls:ro" "$MOSQUITTO_IMAGE"
		;;
	redis-sentinel)
		# It tells clients the addresses of the network, which Linux reaches from outside too.
		docker_network
		sentinel_settings 6379 "$(container redis-replicated)" 6379 >"$RUN/sentinel.conf"
		docker_run redis-sentinel -p "$HOST:$PORT_REDIS_SENTINEL:6379" --network "$DOCKER_NETWORK" \
			-v "$RUN/sentinel.conf:/sentinel.conf:ro" "$REDIS_IMAGE" sh -c 'cp /sentinel.conf /data && exec redis-server /data/sentinel.conf --sentinel'
		;;
	esac
}
