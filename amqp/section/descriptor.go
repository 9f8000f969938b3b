package section

// The numeric descriptors of the sections [AMQP 3.2], which come in this order.
const (
	descHeader                uint64 = 0x70
	descDeliveryAnnotations   uint64 = 0x71
	descMessageAnnotations    uint64 = 0x72
	descProperties            uint64 = 0x73
	descApplicationProperties uint64 = 0x74
	descData                  uint64 = 0x75
	descSequence              uint64 = 0x76
	descValue                 uint64 = 0x77
	descFooter                uint64 = 0x78
)

// names are what a section is called in errors.
var names = [...]string{"header", "delivery-annotations", "message-annotations", "properties", "application-properties", "data",
	"amqp-sequence", "amqp-value", "footer"}

func nameOf(descriptor uint64) string { return names[descriptor-descHeader] }

func isBody(descriptor uint64) bool { return descriptor >= descData && descriptor <= descValue }
