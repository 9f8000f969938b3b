# shellcheck shell=bash
# The mosquitto broker, which benchmarks compare an idle connection's memory with. It has a root of its own: the other roots' packages stay as they are.

mosquitto_prepare() { debian_root trixie sid mosquitto; }

# mosquitto_settings ADDRESS PORT TLS_PORT FOLDER_OF_CERTIFICATE
mosquitto_settings() {
	cat <<CONF
user root
persistence false
allow_anonymous true
connection_messages false
listener $2 $1
CONF
	if mqtt_tls; then
		cat <<CONF
listener $3 $1
certfile $4/cert.pem
keyfile $4/key.pem
CONF
	fi
}

mosquitto_start() {
	local LOADER data=$RUN/data-mosquitto
	mkdir -p "$data"
	copy_certificate "$data"
	mosquitto_settings "$HOST" "$PORT_MOSQUITTO" "$PORT_MOSQUITTO_TLS" "$data" >"$data/mosquitto.conf"
	loader_words trixie mosquitto
	LOADER[-1]=$ROOTS/trixie/usr/sbin/mosquitto
	# The soft limit would be the caller's, which is often 1,024.
	ulimit -n "$(ulimit -Hn)"
	spawn mosquitto "${LOADER[@]}" -c "$data/mosquitto.conf"
}

mosquitto_terminate() { kill -TERM "$1"; }
mosquitto_forget() { rm -rf "$RUN/data-mosquitto"; }
mosquitto_version() { root_version trixie mosquitto; }
mosquitto_ready() { mqtt_answers "$PORT_MOSQUITTO"; }

# With SLUICE_MQTT_TLS_CERT and SLUICE_MQTT_TLS_KEY (PEM files) the MQTT listeners of RabbitMQ and mosquitto have a TLS twin.
mqtt_tls() { [ -n "${SLUICE_MQTT_TLS_CERT:-}" ] && [ -n "${SLUICE_MQTT_TLS_KEY:-}" ]; }

# copy_certificate FOLDER: where a service of another user can read it. It is a certificate for loopback, made for one run.
copy_certificate() {
	mqtt_tls || return 0
	install -m 0644 "$SLUICE_MQTT_TLS_CERT" "$1/cert.pem"
	install -m 0644 "$SLUICE_MQTT_TLS_KEY" "$1/key.pem"
}
