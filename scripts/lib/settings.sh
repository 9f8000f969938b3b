# shellcheck shell=bash
# Where everything lives and listens. All other parts read these names and set none of them.

CACHE=${SLUICE_CACHE:-${XDG_CACHE_HOME:-${HOME:-/root}/.cache}/sluice}
# Another offset is another set beside the first: of ports, run state, data and names. Tests that break services have a set of their own;
# multiples of 20 never meet.
offset=${SLUICE_PORT_OFFSET:-0}
SET=
[ "$offset" = 0 ] || SET=-$offset
RUN=$CACHE/run$SET
ROOTS=$CACHE/roots
SERVICES=(rabbitmq artemis redis redis7 redis-replicated redis-replica)
# Started by name only: a Sentinel would fail the pair over whenever a test stops its primary, and the mosquitto
# broker is for benchmarks.
EXTRAS=(redis-sentinel mosquitto)

# Below 32768, because Linux hands out the ports above to outgoing connections: a test that opens thousands of them
# would now and then hold the very port that a restarted service wants back.
HOST=127.0.0.1
PORT_AMQP=$((30672 + offset))
PORT_DIST=$((30673 + offset))
PORT_EPMD=$((30369 + offset))
PORT_MQTT=$((31883 + offset))
PORT_MQTTS=$((31884 + offset))
PORT_MOSQUITTO=$((31885 + offset))
PORT_MOSQUITTO_TLS=$((31886 + offset))
PORT_ARTEMIS=$((30674 + offset))
PORT_REDIS=$((30379 + offset))
PORT_REDIS7=$((30380 + offset))
PORT_REDIS_REPLICATED=$((30381 + offset))
PORT_REDIS_REPLICA=$((30382 + offset))
PORT_REDIS_SENTINEL=$((30383 + offset))

BUS_USER=sluice
BUS_PASSWORD=sluice
OWN_RABBITMQ_URL=amqp://$BUS_USER:$BUS_PASSWORD@$HOST:$PORT_AMQP
OWN_RABBITMQ_MQTT=mqtt://$BUS_USER:$BUS_PASSWORD@$HOST:$PORT_MQTT
OWN_RABBITMQ_MQTTS=mqtts://$BUS_USER:$BUS_PASSWORD@$HOST:$PORT_MQTTS
OWN_MOSQUITTO_URL=mqtt://$HOST:$PORT_MOSQUITTO
OWN_MOSQUITTO_MQTTS=mqtts://$HOST:$PORT_MOSQUITTO_TLS
OWN_ARTEMIS_URL=amqp://$BUS_USER:$BUS_PASSWORD@$HOST:$PORT_ARTEMIS
OWN_REDIS_URL=redis://$HOST:$PORT_REDIS
OWN_REDIS7_URL=redis://$HOST:$PORT_REDIS7
OWN_REDIS_REPLICATED_URL=redis://$HOST:$PORT_REDIS_REPLICATED
OWN_REDIS_REPLICA_URL=redis://$HOST:$PORT_REDIS_REPLICA
OWN_REDIS_SENTINEL_URL=redis+sentinel://$HOST:$PORT_REDIS_SENTINEL/sluice

# Seconds. A cold start on a loaded two-core machine takes RabbitMQ about 10 s.
START_DEADLINE=${SLUICE_START_DEADLINE:-120}
STOP_DEADLINE=30
