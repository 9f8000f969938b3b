package section

// MaxEntries is how many entries one annotations, application-properties or footer map may have. The standard has no bound; MQTT's user
// properties are the largest honest source, and a packet of 256 KiB holds fewer.
const MaxEntries = 1 << 16
