// A backend by rhea. Its standard input is JSON: {host, port, user, password, send: [message], address, receive: count}. A message is {address,
// payload, contentType, replyTo, correlation, ttl, durable, qos, user, userList}; payload and correlation are hexadecimal. It sends over one link
// for each address, or receives from address; prints one JSON line for each event; and ends when all outcomes or all messages have come.
'use strict'
const rhea = require('rhea')
const todo = JSON.parse(require('fs').readFileSync(0))

const say = (event) => process.stdout.write(JSON.stringify(event) + '\n')
const hex = (v) => (v === undefined || v === null ? undefined : Buffer.from(v).toString('hex'))
const fail = (what) => (context) => {
  say({ event: 'failed', text: what + ': ' + (context.error || (context.connection && context.connection.error) || '') })
  process.exit(1)
}

const container = rhea.create_container()
const connection = container.connect({
  host: todo.host, port: todo.port, username: todo.user || undefined, password: todo.password || undefined, reconnect: false,
})
for (const name of ['connection_error', 'session_error', 'sender_error', 'receiver_error', 'disconnected']) {
  container.on(name, fail(name))
}
const finish = () => {
  container.removeAllListeners('disconnected')
  connection.close()
}

const build = (m) => {
  const message = { body: rhea.message.data_section(Buffer.from(m.payload, 'hex')), durable: m.durable }
  if (m.contentType) message.content_type = m.contentType
  if (m.replyTo) message.reply_to = m.replyTo
  if (m.correlation) message.correlation_id = rhea.types.wrap_binary(Buffer.from(m.correlation, 'hex'))
  if (m.ttl) message.ttl = m.ttl
  if (m.user) message.application_properties = m.user
  message.message_annotations = { 'x-opt-mqtt-qos': rhea.types.wrap_ubyte(m.qos) }
  if (m.userList) message.message_annotations['x-opt-mqtt-user-properties'] = rhea.types.wrap_list(m.userList)
  return message
}

if (todo.send.length > 0) {
  const waiting = new Map()
  for (const m of todo.send) waiting.set(m.address, [...(waiting.get(m.address) || []), m])
  let unanswered = todo.send.length
  container.on('sendable', (context) => {
    const list = waiting.get(context.sender.target.address)
    while (list.length > 0 && context.sender.sendable()) context.sender.send(build(list.shift()))
  })
  for (const outcome of ['accepted', 'rejected', 'released', 'modified']) {
    container.on(outcome, () => {
      say({ event: 'settled', outcome })
      if (--unanswered === 0) finish()
    })
  }
  for (const address of waiting.keys()) connection.open_sender({ target: { address } })
} else {
  let missing = todo.receive
  container.on('receiver_open', () => say({ event: 'ready' }))
  container.on('message', (context) => {
    const m = context.message
    const properties = Object.entries(m.application_properties || {})
    const a = { ...Object.fromEntries(properties.filter(([name]) => name.startsWith('x-opt-'))), ...m.message_annotations }
    const user = properties.filter(([name]) => !name.startsWith('x-opt-'))
    const listed = a['x-opt-mqtt-user-properties']
    say({
      event: 'message',
      payload: m.body ? hex(m.body.content !== undefined ? m.body.content : m.body) : '',
      to: m.to,
      subject: m.subject,
      messageId: m.message_id === undefined ? undefined : String(m.message_id),
      contentType: m.content_type,
      replyTo: m.reply_to,
      correlation: hex(m.correlation_id),
      ttl: m.ttl,
      durable: m.durable === true,
      user: user.length > 0 ? Object.fromEntries(user) : undefined,
      qos: a['x-opt-mqtt-qos'],
      topic: a['x-opt-mqtt-topic'],
      client: a['x-opt-sluice-client'],
      userList: typeof listed === 'string' ? JSON.parse(listed) : listed,
    })
    if (--missing === 0) finish()
  })
  connection.open_receiver({ source: { address: todo.address }, credit_window: 10 })
}
