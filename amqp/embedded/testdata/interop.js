// A rhea client that uses the broker in every way that matters and prints what it saw. usage: node interop.js HOST PORT USER PASSWORD
'use strict';
const rhea = require('rhea');
const [host, port, username, password] = process.argv.slice(2);

const say = (line) => console.log(line);
const once = (emitter, ...names) => new Promise((resolve) => {
  const handlers = names.map((name) => [name, (context) => {
    handlers.forEach(([n, h]) => emitter.removeListener(n, h));
    resolve({ name, context });
  }]);
  handlers.forEach(([n, h]) => emitter.on(n, h));
});
// rhea hands over all messages of a read at once, so a listener that comes and goes would miss some.
function inbox(receiver) {
  const waiting = [];
  const arrived = [];
  receiver.on('message', (context) => (waiting.length ? waiting.shift()(context) : arrived.push(context)));
  return () => (arrived.length ? Promise.resolve(arrived.shift()) : new Promise((resolve) => waiting.push(resolve)));
}

const outcomes = ['accepted', 'released', 'rejected', 'modified'];

async function send(sender, message) {
  if (!sender.sendable()) await once(sender, 'sendable');
  sender.send(message);
  const { name, context } = await once(sender, ...outcomes);
  const error = context.delivery.remote_state && context.delivery.remote_state.error;
  return name + (error ? ' ' + error.condition : '');
}

async function main() {
  const container = rhea.create_container();
  const connection = container.connect({ host, port, username, password, reconnect: false, max_frame_size: 4096, idle_time_out: 2000 });
  await once(connection, 'connection_open');
  say('product ' + connection.properties.product);

  const queue = connection.open_sender('/queues/q');
  await once(queue, 'sender_open');
  for (const body of ['accept', 'reject', 'release', 'failed', 'here']) say(`send ${body} ` + await send(queue, { body, durable: true }));
  say('send large ' + await send(queue, { body: 'x'.repeat(300000) }));

  const anonymous = connection.open_sender({ target: {} });
  await once(anonymous, 'sender_open');
  for (const to of ['/exchanges/amq.topic/a.b', '/exchanges/amq.topic/nobody', '/exchanges/none/a', '/nonsense', '/queues/full']) {
    say(`to ${to} ` + await send(anonymous, { to, body: 'routed' }));
  }

  const missing = connection.open_receiver('/queues/none');
  await once(missing, 'receiver_error');
  say('missing queue ' + missing.error.condition);
  const plain = connection.open_sender('foo');
  await once(plain, 'sender_error');
  say('plain address ' + plain.error.condition);

  const receiver = connection.open_receiver({ source: '/queues/q', autoaccept: false, credit_window: 0 });
  const next = inbox(receiver);
  const answers = {
    accept: (d) => d.accept(), reject: (d) => d.reject({ condition: 'x:y' }), release: (d) => d.release(),
    failed: (d) => d.modified({ delivery_failed: true }), here: (d) => d.modified({ undeliverable_here: true }),
  };
  receiver.add_credit(7);
  for (let i = 0; i < 7; i++) {
    const context = await next();
    const { body } = context.message;
    say(`got ${body.length > 20 ? body.length : body} first=${context.message.first_acquirer} key=${context.message.message_annotations['x-routing-key']}`);
    (answers[body] || answers.accept)(context.delivery);
    // rhea 3.0.5 takes neighbouring outcomes of one turn for the same, also accepted and rejected; so each has a turn of its own.
    await new Promise(setImmediate);
  }
  receiver.add_credit(2);
  for (let i = 0; i < 2; i++) {
    const context = await next();
    say(`again ${context.message.body} first=${Boolean(context.message.first_acquirer)} count=${context.message.delivery_count || 0}`);
    context.delivery.accept();
  }
  receiver.add_credit(5);
  receiver.drain_credit();
  await once(receiver, 'receiver_drained');
  say('drained');

  const replies = connection.open_receiver({ source: { dynamic: true } });
  await once(replies, 'receiver_open');
  const reply = inbox(replies);
  say('reply ' + await send(anonymous, { to: replies.source.address, body: 'answer' }));
  say('reply ' + (await reply()).message.body);

  const closed = once(connection, 'connection_close');
  connection.close();
  await closed;
  say('closed');
}

main().catch((e) => { console.error(e); process.exit(1); });
