# shellcheck shell=bash
# RabbitMQ 4 with its MQTT plugin (benchmarks compare Sluice with it).

# rabbitmq_settings ADDRESS AMQP_PORT MQTT_PORT MQTTS_PORT FOLDER_OF_CERTIFICATE
rabbitmq_settings() {
	cat <<CONF
listeners.tcp.default = $1:$2
mqtt.listeners.tcp.default = $1:$3
default_user = $BUS_USER
default_pass = $BUS_PASSWORD
default_user_tags.administrator = true
default_permissions.configure = .*
default_permissions.read = .*
default_permissions.write = .*
anonymous_login_user = none
log.console = true
log.console.level = info
log.console.use_colors = off
log.file = false
disk_free_limit.absolute = 100MB
CONF
	if mqtt_tls; then
		cat <<CONF
mqtt.listeners.ssl.default = $1:$4
ssl_options.certfile = $5/cert.pem
ssl_options.keyfile = $5/key.pem
ssl_options.verify = verify_none
CONF
	fi
}

rabbitmq_plugins() { printf '[rabbitmq_mqtt].\n'; }

rabbitmq_prepare() { debian_root forky sid rabbitmq-server redis-server mosquitto-clients; }

# Inside the root; the packages' own places for the first set.
RABBITMQ_CONFIG=/etc/rabbitmq$SET
RABBITMQ_DATA=/var/lib/rabbitmq/mnesia$SET

# The distribution port and epmd listen on loopback and on ports of ours too: a RabbitMQ of the machine keeps its own.
rabbitmq_environment() {
	# Without it the soft limit is 1,024 whatever the caller has, and past that the broker answers nobody.
	local files=20000 hard
	hard=$(ulimit -Hn)
	[ "$hard" = unlimited ] || [ "$hard" -ge "$files" ] || files=$hard
	RABBITMQ_ENVIRONMENT=(env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin LANG=C.UTF-8 HOME=/var/lib/rabbitmq
		NODENAME=rabbit@localhost RABBITMQ_NODENAME=rabbit@localhost RABBITMQ_DIST_PORT="$PORT_DIST"
		ERL_EPMD_ADDRESS="$HOST" ERL_EPMD_PORT="$PORT_EPMD"
		RABBITMQ_MNESIA_BASE="$RABBITMQ_DATA" RABBITMQ_CONFIG_FILE="$RABBITMQ_CONFIG/rabbitmq.conf"
		RABBITMQ_ENABLED_PLUGINS_FILE="$RABBITMQ_CONFIG/enabled_plugins"
		RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS="-kernel inet_dist_use_interface {127,0,0,1}"
		RABBITMQ_CTL_ERL_ARGS="-kernel inet_dist_use_interface {127,0,0,1}"
		RABBITMQ_MAX_OPEN_FILES="$files"
		# Changing the user clears the order to die with the process outside, so it is given again.
		setpriv --reuid=rabbitmq --regid=rabbitmq --init-groups --pdeathsig KILL)
}

rabbitmq_start() {
	local INSIDE RABBITMQ_ENVIRONMENT root=$ROOTS/forky
	inside_words forky
	rabbitmq_environment
	mkdir -p "$root$RABBITMQ_CONFIG"
	copy_certificate "$root$RABBITMQ_CONFIG"
	rabbitmq_settings "$HOST" "$PORT_AMQP" "$PORT_MQTT" "$PORT_MQTTS" "$RABBITMQ_CONFIG" >"$root$RABBITMQ_CONFIG/rabbitmq.conf"
	rabbitmq_plugins >"$root$RABBITMQ_CONFIG/enabled_plugins"
	spawn rabbitmq "${INSIDE[@]}" "${RABBITMQ_ENVIRONMENT[@]}" /usr/lib/rabbitmq/bin/rabbitmq-server
}

# unshare itself waits for its child whatever it is told; the child, first process inside, ends RabbitMQ in order.
rabbitmq_terminate() {
	local child
	child=$(children "$1")
	[ -n "$child" ] && kill -TERM "$child"
}

rabbitmq_forget() { rm -rf --one-file-system "$ROOTS/forky$RABBITMQ_DATA"/*; }

rabbitmq_version() { root_version forky rabbitmq-server; }

rabbitmq_ready() { amqp_answers "$PORT_AMQP" && mqtt_answers "$PORT_MQTT"; }

rabbitmq_ctl() {
	case $(origin rabbitmq) in
	debian)
		local RABBITMQ_ENVIRONMENT
		rabbitmq_environment
		inside forky "${RABBITMQ_ENVIRONMENT[@]}" /usr/lib/rabbitmq/bin/rabbitmqctl "$@"
		;;
	docker) docker exec "$(container rabbitmq)" rabbitmqctl "$@" ;;
	*) die "the RabbitMQ at $SLUICE_TEST_RABBITMQ_URL was not started here, so its rabbitmqctl is not reachable" ;;
	esac
}
