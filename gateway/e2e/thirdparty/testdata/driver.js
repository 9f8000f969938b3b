// mqtt.js for tests, many connections in one process. Each line of the standard input is a request, JSON: {n, op, device, ...}; each gets
// one line with its n, and error if it failed. Lines without n are events of a device: message, connected, ended. Payloads and correlation data
// are base64. The process ends with its standard input.
'use strict'
const mqtt = require('mqtt')

const say = (line) => process.stdout.write(JSON.stringify(line) + '\n')
const base64 = (b) => (b === undefined ? undefined : Buffer.from(b).toString('base64'))
const bytes = (s) => Buffer.from(s || '', 'base64')

const devices = new Map()

// An error as the request that caused it reports it.
const failure = (error) => ({ error: String(error), reason: typeof error.code === 'number' ? error.code : undefined })

const outgoing = (p) => {
  if (!p) return undefined
  const properties = { ...p }
  if (p.correlationData) properties.correlationData = bytes(p.correlationData)
  return properties
}

const connectOptions = (o) => {
  const options = {
    protocolVersion: o.version,
    clientId: o.id,
    clean: o.clean,
    keepalive: o.keepAlive,
    reconnectPeriod: o.reconnect ? 20 : 0,
    resubscribe: false, // the session has the subscriptions
    autoAssignTopicAlias: o.aliases,
    // Without a server URL in here mqtt.js would keep WebSocket options from the environment.
    wsOptions: {},
  }
  if (o.version === 5) options.properties = o.properties
  if (o.will) {
    options.will = { topic: o.will.topic, payload: bytes(o.will.payload), qos: o.will.qos, retain: o.will.retain }
    if (o.version === 5) options.will.properties = outgoing(o.will.properties)
  }
  return options
}

const operations = {
  connect: (o, answer) => {
    const client = mqtt.connect(o.url, connectOptions(o))
    const d = { client, unacknowledged: [], unanswered: new Set(), leaving: false, told: undefined }
    devices.set(o.device, d)
    if (o.manual) client.handleMessage = (packet, done) => d.unacknowledged.push(done)
    let answered = false
    const once = (line) => {
      if (!answered) answer(line)
      answered = true
    }
    client.on('connect', (connack) => {
      const p = connack.properties || {}
      once({ present: connack.sessionPresent, assigned: p.assignedClientIdentifier })
      say({ device: o.device, event: 'connected' })
    })
    client.on('error', (error) => once(failure(error)))
    client.on('disconnect', (packet) => (d.told = packet.reasonCode))
    client.on('close', () => {
      once({ error: 'the connection was closed before CONNACK' })
      if (!d.leaving) say({ device: o.device, event: 'ended', told: d.told !== undefined, reason: d.told })
      d.told = undefined
    })
    client.on('message', (topic, payload, packet) => {
      const p = packet.properties || {}
      say({
        device: o.device,
        event: 'message',
        topic,
        payload: base64(payload),
        qos: packet.qos,
        retain: packet.retain,
        contentType: p.contentType,
        responseTopic: p.responseTopic,
        correlationData: base64(p.correlationData),
        expiry: p.messageExpiryInterval,
        text: p.payloadFormatIndicator,
        user: p.userProperties,
        subscriptions: p.subscriptionIdentifier === undefined ? undefined : [].concat(p.subscriptionIdentifier),
      })
    })
  },

  subscribe: (o, answer, { client }) => {
    const filters = {}
    for (const f of o.filters) filters[f.filter] = { qos: f.qos, nl: f.noLocal, rap: f.retainAsPublished, rh: f.retainHandling }
    const options = o.id ? { properties: { subscriptionIdentifier: o.id } } : {}
    client.subscribe(filters, options, (error, granted, packet) => answer(error ? failure(error) : { reasons: packet.granted }))
  },

  unsubscribe: (o, answer, { client }) => {
    client.unsubscribe(o.filters, (error) => answer(error ? failure(error) : {}))
  },

  publish: (o, answer, { client }) => {
    const options = { qos: o.qos, retain: o.retain, properties: outgoing(o.properties) }
    client.publish(o.topic, bytes(o.payload), options, (error, packet) => {
      answer(error ? failure(error) : { reason: (packet && packet.reasonCode) || 0 })
    })
  },

  acknowledge: (o, answer, { unacknowledged }) => {
    const done = unacknowledged.shift()
    if (!done) return answer({ error: 'no message waits for its acknowledgement' })
    done()
    answer({})
  },

  disconnect: (o, answer, d) => {
    d.leaving = true
    d.client.end(false, o.options || {}, () => answer({}))
  },

  abandon: (o, answer, d) => {
    d.leaving = true
    devices.delete(o.device)
    for (const other of d.unanswered) if (other !== answer) other({ error: 'the connection was abandoned' })
    d.client.end(true, {}, () => answer({}))
  },
}

// answerOnce gives the answer to a request, which the end of its device may have to give instead.
const answerOnce = (o, d) => {
  const answer = (fields) => {
    if (d && !d.unanswered.delete(answer)) return
    say({ n: o.n, ...fields })
  }
  if (d) d.unanswered.add(answer)
  return answer
}

require('readline')
  .createInterface({ input: process.stdin })
  .on('line', (line) => {
    const o = JSON.parse(line)
    const answer = answerOnce(o, devices.get(o.device))
    try {
      operations[o.op](o, answer, devices.get(o.device))
    } catch (error) {
      answer(failure(error))
    }
  })
  .on('close', () => process.exit(0))
