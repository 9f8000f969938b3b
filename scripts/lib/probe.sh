# shellcheck shell=bash
# Readiness, asked in the service's own protocol over bash's /dev/tcp: works the same for every origin and needs no tool.

# ask PORT BYTES COUNT [HOST]: sends printf-escaped bytes, prints the first COUNT bytes of the answer as hex.
ask() {
	timeout 3 bash -c '
		exec 3<>"/dev/tcp/$1/$2" || exit 1
		printf "$3" >&3
		head -c "$4" <&3 | od -An -v -tx1 | tr -d " \n"
	' _ "${4:-$HOST}" "$1" "$2" "$3" 2>/dev/null
}

port_open() { timeout 2 bash -c 'exec 3<>"/dev/tcp/$1/$2"' _ "${2:-$HOST}" "$1" 2>/dev/null; }

# The SASL protocol header, answered by the same header [AMQP 5.3.2].
amqp_answers() { [ "$(ask "$1" 'AMQP\x03\x01\x00\x00' 8 "${2:-}")" = 414d515003010000 ]; }

# CONNECT of MQTT 3.1.1 with user sluice; CONNACK with code 0. It shows that the plugin runs and that the user exists.
mqtt_answers() {
	[ "$(ask "$1" '\x10\x21\x00\x04MQTT\x04\xc2\x00\x05\x00\x05probe\x00\x06sluice\x00\x06sluice' 4)" = 20020000 ]
}

redis_answers() { [ "$(ask "$1" 'PING\r\n' 7 "${2:-}")" = 2b504f4e470d0a ]; }

# WAIT counts the replicas that have confirmed what this connection wrote: nothing, so it counts those that are there.
redis_has_replica() { [ "$(ask "$1" 'WAIT 1 1000\r\n' 4)" = 3a310d0a ]; }

# The host and the port of a URL, the latter with a default.
url_host() { local rest=${1#*://}; rest=${rest##*@}; rest=${rest%%/*}; printf '%s\n' "${rest%%:*}"; }
url_port() {
	local rest=${1#*://}
	rest=${rest##*@}
	rest=${rest%%/*}
	case $rest in *:*) printf '%s\n' "${rest##*:}" ;; *) printf '%s\n' "${2:-}" ;; esac
}
