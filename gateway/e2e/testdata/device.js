// An MQTT device by mqtt.js. Its standard input is JSON: {url, version, clientId, clean, expiry, subscribe: {filter: options},
// subscriptionId, publish: [{topic, payload, qos, retain, properties}], count}. Payloads and correlation data are hexadecimal. It prints one JSON
// line for each event and ends when everything is published and count messages have come.
'use strict'
const mqtt = require('mqtt')
const todo = JSON.parse(require('fs').readFileSync(0))

const say = (event) => process.stdout.write(JSON.stringify(event) + '\n')
const hex = (buffer) => (buffer === undefined ? undefined : Buffer.from(buffer).toString('hex'))
const fail = (error) => {
  say({ event: 'failed', text: String(error) })
  process.exit(1)
}

const client = mqtt.connect(todo.url, {
  protocolVersion: todo.version,
  clientId: todo.clientId,
  clean: todo.clean,
  reconnectPeriod: 0,
  properties: todo.version === 5 ? { sessionExpiryInterval: todo.expiry } : undefined,
})
client.on('error', fail)

let missing = todo.count
let unpublished = todo.publish.length
const finish = () => {
  if (missing === 0 && unpublished === 0) client.end(false, {}, () => say({ event: 'ended' }))
}

client.on('message', (topic, payload, packet) => {
  const p = packet.properties || {}
  say({
    event: 'message',
    topic,
    payload: hex(payload),
    qos: packet.qos,
    retain: packet.retain,
    dup: packet.dup,
    contentType: p.contentType,
    responseTopic: p.responseTopic,
    correlation: hex(p.correlationData),
    expiry: p.messageExpiryInterval,
    payloadFormat: p.payloadFormatIndicator,
    user: p.userProperties,
  })
  missing--
  finish()
})

const publish = (m) => {
  const options = { qos: m.qos, retain: m.retain }
  if (m.properties) {
    options.properties = { ...m.properties }
    if (m.properties.correlationData) options.properties.correlationData = Buffer.from(m.properties.correlationData, 'hex')
  }
  client.publish(m.topic, Buffer.from(m.payload, 'hex'), options, (error, packet) => {
    if (error) return fail(error)
    say({ event: 'published', topic: m.topic, reason: (packet && packet.reasonCode) || 0 })
    unpublished--
    finish()
  })
}

client.on('connect', (connack) => {
  say({ event: 'connected', sessionPresent: connack.sessionPresent })
  const start = () => {
    todo.publish.forEach(publish)
    finish()
  }
  if (!todo.subscribe) return start()
  const options = todo.subscriptionId ? { properties: { subscriptionIdentifier: todo.subscriptionId } } : {}
  client.subscribe(todo.subscribe, options, (error, granted) => {
    if (error) return fail(error)
    say({ event: 'subscribed', granted })
    start()
  })
})
