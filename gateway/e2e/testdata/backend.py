"""A backend by Qpid Proton. Input and output are those of backend.js."""
import binascii
import json
import sys

import proton
import proton.handlers
import proton.reactor

todo = json.load(sys.stdin)


def say(event, **fields):
    fields["event"] = event
    print(json.dumps({k: v for k, v in fields.items() if v is not None}), flush=True)


def as_hex(value):
    if value is None:
        return None
    if isinstance(value, str):
        value = value.encode()
    return binascii.hexlify(bytes(value)).decode()


def text(value):
    """Text, or None for what is absent; the symbol of an absent field reads "None"."""
    return None if value is None or str(value) == "None" else str(value)


class Backend(proton.handlers.MessagingHandler):
    def __init__(self):
        super().__init__(prefetch=10, auto_accept=False)
        self.waiting = {}
        for m in todo["send"]:
            self.waiting.setdefault(m["address"], []).append(m)
        self.unanswered = len(todo["send"])
        self.missing = todo["receive"]

    def on_start(self, event):
        url = "amqp://%s:%d" % (todo["host"], todo["port"])
        credentials = {"user": todo["user"], "password": todo["password"], "allowed_mechs": "PLAIN"} if todo["user"] else {"allowed_mechs": "ANONYMOUS"}
        connection = event.container.connect(url, reconnect=False, allow_insecure_mechs=True, **credentials)
        for address in self.waiting:
            event.container.create_sender(connection, address)
        if not todo["send"]:
            event.container.create_receiver(connection, todo["address"])

    def on_link_opened(self, event):
        say("ready")

    def on_sendable(self, event):
        waiting = self.waiting[event.sender.target.address]
        while waiting and event.sender.credit:
            event.sender.send(build(waiting.pop(0)))

    def answered(self, event, outcome):
        say("settled", outcome=outcome)
        self.unanswered -= 1
        if self.unanswered == 0:
            event.connection.close()

    def on_accepted(self, event):
        self.answered(event, "accepted")

    def on_rejected(self, event):
        self.answered(event, "rejected")

    def on_released(self, event):
        self.answered(event, "released")

    def on_message(self, event):
        m = event.message
        a = {**{k: v for k, v in (m.properties or {}).items() if k.startswith("x-opt-")}, **(m.annotations or {})}
        listed = a.get("x-opt-mqtt-user-properties")
        if isinstance(listed, str):
            listed = json.loads(listed)
        say(
            "message", payload=as_hex(m.body or b""), to=m.address, subject=m.subject, messageId=text(m.id), contentType=text(m.content_type),
            replyTo=m.reply_to, correlation=as_hex(m.correlation_id), ttl=int(round(m.ttl * 1000)) or None, durable=bool(m.durable),
            user={k: str(v) for k, v in (m.properties or {}).items() if not k.startswith("x-opt-")} or None, qos=a.get("x-opt-mqtt-qos"), topic=a.get("x-opt-mqtt-topic"),
            client=a.get("x-opt-sluice-client"), userList=None if listed is None else [str(v) for v in listed],
        )
        self.missing -= 1
        self.accept(event.delivery)
        if self.missing == 0:
            event.connection.close()

    def on_transport_error(self, event):
        self.failed("transport: %s" % event.transport.condition)

    def on_connection_error(self, event):
        self.failed("connection: %s" % event.connection.remote_condition)

    def on_link_error(self, event):
        self.failed("link: %s" % event.link.remote_condition)

    def failed(self, why):
        say("failed", text=why)
        sys.exit(1)


def build(m):
    message = proton.Message(body=binascii.unhexlify(m["payload"]), inferred=True, durable=m["durable"])
    if m.get("contentType"):
        message.content_type = m["contentType"]
    if m.get("replyTo"):
        message.reply_to = m["replyTo"]
    if m.get("correlation"):
        message.correlation_id = binascii.unhexlify(m["correlation"])
    if m.get("ttl"):
        message.ttl = m["ttl"] / 1000
    if m.get("user"):
        message.properties = m["user"]
    message.annotations = {proton.symbol("x-opt-mqtt-qos"): proton.ubyte(m["qos"])}
    if m.get("userList"):
        message.annotations[proton.symbol("x-opt-mqtt-user-properties")] = m["userList"]
    return message


proton.reactor.Container(Backend()).run()
