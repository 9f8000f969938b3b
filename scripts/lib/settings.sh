# shellcheck shell=bash
# Where everything lives and listens. All other parts read these names and set none of them.

CACHE=${SLUICE_CACHE:-${XDG_CACHE_HOME:-${HOME:-/root}/.cache}/sluice}
RUN=$CACHE/run
ROOTS=$CACHE/roots
SERVICES=(rabbitmq redis redis7 redis-replicated redis-replica)

# Below 32768, because Linux hands out the ports above to outgoing connections: a test that opens thousands of them
# would now and then hold the very port that a restarted service wants back.
offset=${SLUICE_PORT_OFFSET:-0}
HOST=127.0.0.1
PORT_AMQP=$((30672 + offset))
PORT_DIST=$((30673 + offset))
PORT_EPMD=$((30369 + offset))
PORT_MQTT=$((31883 + offset))
PORT_REDIS=$((30379 + offset))
PORT_REDIS7=$((30380 + offset))
PORT_REDIS_REPLICATED=$((30381 + offset))
PORT_REDIS_REPLICA=$((30382 + offset))

BUS_USER=sluice
BUS_PASSWORD=sluice
OWN_RABBITMQ_URL=amqp://$BUS_USER:$BUS_PASSWORD@$HOST:$PORT_AMQP
OWN_RABBITMQ_MQTT=mqtt://$BUS_USER:$BUS_PASSWORD@$HOST:$PORT_MQTT
OWN_REDIS_URL=redis://$HOST:$PORT_REDIS
OWN_REDIS7_URL=redis://$HOST:$PORT_REDIS7
OWN_REDIS_REPLICATED_URL=redis://$HOST:$PORT_REDIS_REPLICATED
OWN_REDIS_REPLICA_URL=redis://$HOST:$PORT_REDIS_REPLICA

# Seconds. A cold start on a loaded two-core machine takes RabbitMQ about 10 s.
START_DEADLINE=${SLUICE_START_DEADLINE:-120}
STOP_DEADLINE=30
