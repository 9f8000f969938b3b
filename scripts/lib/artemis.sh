# shellcheck shell=bash
# ActiveMQ Artemis, from its jars: Maven copies them, the machine's Java runs them. No tool of Artemis' own distribution is needed, and the
# version is the one in artemis/pom.xml whatever the machine has.

ARTEMIS_POM=$here/artemis/pom.xml

# A directory per pom, so that an older checkout keeps its own jars.
artemis_home() { printf '%s/artemis-%s\n' "$CACHE" "$(sha256sum "$ARTEMIS_POM" | cut -c 1-12)"; }

artemis_version() { sed -n 's/.*<artemis.version>\(.*\)<.*/\1/p' "$ARTEMIS_POM"; }

# Debian 12's Java is 17, the oldest that Artemis 2.55 runs on.
java_fits() {
	local version
	version=$(java -version 2>&1 | sed -n 's/.* version "\([0-9]*\).*/\1/p') && [ "${version:-0}" -ge 17 ]
}

artemis_prepare() {
	local packages=() home
	command -v java >/dev/null || packages+=(default-jre-headless)
	home=$(artemis_home)
	[ -e "$home/.ready" ] || command -v mvn >/dev/null || packages+=(maven)
	[ ${#packages[@]} -eq 0 ] || install_packages "for Artemis" "${packages[@]}"
	java_fits || die "Artemis needs Java 17 or newer; 'java' is: $(java -version 2>&1 | head -n 1)" \
		"put a newer one first in PATH, or name a running Artemis by SLUICE_TEST_ARTEMIS_URL"
	[ ! -e "$home/.ready" ] || return 0
	say "copying the jars of Artemis $(artemis_version) into $home (half a minute, once)"
	rm -rf "$home"
	logged "$RUN/artemis-jars.log" mvn -q -B -f "$ARTEMIS_POM" dependency:copy-dependencies \
		-DincludeScope=runtime -DoutputDirectory="$home" ||
		die "Maven could not bring the jars of Artemis" "see the lines above; is the network there?"
	touch "$home/.ready"
}

# As the broker's own "create" makes it, less what only its console and its other protocols need. Any user may do anything: there is one.
artemis_settings() {
	local permission
	cat <<XML
<configuration xmlns="urn:activemq">
  <core xmlns="urn:activemq:core">
    <name>sluice</name>
    <persistence-enabled>true</persistence-enabled>
    <journal-type>NIO</journal-type>
    <journal-min-files>2</journal-min-files>
    <journal-pool-files>2</journal-pool-files>
    <max-disk-usage>-1</max-disk-usage>
    <id-cache-size>2000</id-cache-size>
    <address-queue-scan-period>1000</address-queue-scan-period>
    <jmx-management-enabled>false</jmx-management-enabled>
    <acceptors>
      <acceptor name="amqp">tcp://$HOST:$PORT_ARTEMIS?protocols=AMQP;securityDomain=activemq;amqpCredits=1000;amqpLowCredits=300</acceptor>
    </acceptors>
    <security-settings>
      <security-setting match="#">
XML
	for permission in createNonDurableQueue deleteNonDurableQueue createDurableQueue deleteDurableQueue \
		createAddress deleteAddress consume browse send manage view edit; do
		printf '        <permission type="%s" roles="amq"/>\n' "$permission"
	done
	cat <<XML
      </security-setting>
    </security-settings>
    <address-settings>
      <address-setting match="#">
        <dead-letter-address>DLQ</dead-letter-address>
        <expiry-address>ExpiryQueue</expiry-address>
        <address-full-policy>PAGE</address-full-policy>
        <auto-create-queues>true</auto-create-queues>
        <auto-create-addresses>true</auto-create-addresses>
      </address-setting>
    </address-settings>
    <addresses>
      <address name="DLQ"><anycast><queue name="DLQ"/></anycast></address>
      <address name="ExpiryQueue"><anycast><queue name="ExpiryQueue"/></anycast></address>
    </addresses>
  </core>
</configuration>
XML
}

# The login module looks for its files beside login.config.
artemis_start() {
	local data=$RUN/data-artemis
	mkdir -p "$data/etc"
	artemis_settings >"$data/etc/broker.xml"
	cat >"$data/etc/login.config" <<'CONF'
activemq {
  org.apache.activemq.artemis.spi.core.security.jaas.PropertiesLoginModule required
    org.apache.activemq.jaas.properties.user="users.properties"
    org.apache.activemq.jaas.properties.role="roles.properties";
};
CONF
	printf '%s=%s\n' "$BUS_USER" "$BUS_PASSWORD" >"$data/etc/users.properties"
	printf 'amq=%s\n' "$BUS_USER" >"$data/etc/roles.properties"
	# The audit log would write several lines for each message.
	printf '%s\n' 'handlers=java.util.logging.ConsoleHandler' '.level=INFO' 'org.apache.activemq.audit.level=OFF' >"$data/etc/logging.properties"
	spawn artemis java -Xmx512m -XX:+UseSerialGC -Djava.util.logging.config.file="$data/etc/logging.properties" \
		-Djava.security.auth.login.config="$data/etc/login.config" -cp "$(artemis_home)/*" \
		org.apache.activemq.artemis.core.server.embedded.Main "$data"
}

artemis_terminate() { kill -TERM "$1"; }
artemis_forget() { rm -rf "$RUN/data-artemis"; }
artemis_ready() { amqp_answers "$PORT_ARTEMIS"; }
