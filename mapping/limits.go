package mapping

// maxIdentity bounds the text of a message-id in DownlinkMessage.Identity, in bytes. Identities are kept in the session store, one per
// message in flight; a longer message-id is represented by its hash.
const maxIdentity = 128

// maxMQTTString is the longest UTF-8 string and binary datum of MQTT, in bytes: its length prefix has two bytes (MQTT 5, 1.5.4 and 1.5.6).
const maxMQTTString = 65535

// maxNesting bounds how deep the identity hash looks into nested lists and maps of a foreign message, and so the stack it needs.
const maxNesting = 16

// scratch is the size of buffers on the stack for building keys and addresses. Longer topics cost one more allocation.
const scratch = 256
