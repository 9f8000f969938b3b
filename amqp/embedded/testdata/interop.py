# A qpid-proton client that uses the broker in every way that matters and prints what it saw.
# usage: python3 interop.py HOST PORT USER PASSWORD
import sys
from proton import Delivery, Message
from proton.utils import BlockingConnection, LinkDetached, SendException

host, port, user, password = sys.argv[1:5]
names = {Delivery.ACCEPTED: "accepted", Delivery.REJECTED: "rejected", Delivery.RELEASED: "released", Delivery.MODIFIED: "modified"}


def say(line):
    print(line, flush=True)


def send(sender, message):
    """The outcome in words; proton raises for all but accepted."""
    try:
        return names[sender.send(message).remote_state]
    except SendException as e:
        return names[e.state]


connection = BlockingConnection("amqp://%s:%s@%s:%s" % (user, password, host, port), timeout=20, heartbeat=2, allowed_mechs="PLAIN")
say("product " + connection.conn.remote_properties["product"])

queue = connection.create_sender("/queues/q")
for body in ("accept", "reject", "release", "failed"):
    say("send %s %s" % (body, send(queue, Message(body=body, durable=True))))
say("send large " + send(queue, Message(body="x" * 300000)))

anonymous = connection.create_sender(None)
for to in ("/exchanges/amq.topic/a.b", "/exchanges/amq.topic/nobody", "/exchanges/none/a", "/nonsense", "/queues/full"):
    say("to %s %s" % (to, send(anonymous, Message(address=to, body="routed"))))

for what, create in (("missing queue", lambda: connection.create_receiver("/queues/none")), ("plain address", lambda: connection.create_sender("foo"))):
    try:
        create()
        say(what + " attached")
    except LinkDetached as e:
        say("%s %s" % (what, e.condition))

receiver = connection.create_receiver("/queues/q", credit=6)
for _ in range(6):
    message = receiver.receive()
    body = message.body
    say("got %s first=%s key=%s" % (len(body) if len(body) > 20 else body, message.first_acquirer, message.annotations["x-routing-key"]))
    if body == "reject":
        receiver.reject()
    elif body == "release":
        receiver.release(delivered=False)
    elif body == "failed":
        receiver.release(delivered=True)
    else:
        receiver.accept()
# proton writes the outcomes of a batch in any order, and the receiver has credit meanwhile: either may come first
receiver.flow(2)
again = []
for _ in range(2):
    message = receiver.receive()
    again.append("again %s first=%s" % (message.body, message.first_acquirer))
    receiver.accept()
for line in sorted(again):
    say(line)

replies = connection.create_receiver(None, dynamic=True, credit=1)
say("reply " + send(anonymous, Message(address=replies.link.remote_source.address, body="answer")))
say("reply " + replies.receive().body)
replies.accept()

connection.close()
say("closed")
