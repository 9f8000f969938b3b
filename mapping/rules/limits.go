package rules

const (
	// MaxRules bounds a table. Rules are compared pairwise when they are compiled; this many take a second or two.
	MaxRules = 4096
	// maxTemplate bounds templates and texts, in bytes: far beyond what anybody writes by hand.
	maxTemplate = 4096
	// maxLevels bounds the levels of a template, and with them the depth of the search.
	maxLevels = 64
	// maxVariables bounds the named levels of a rule. Their values are kept in an array on the stack.
	maxVariables = 16
	// maxVariableName bounds the name of a variable, in bytes.
	maxVariableName = 64
	// maxProperties bounds the application properties that a rule sets.
	maxProperties = 64
	// maxBindings bounds what a filter is bound to of one exchange. A filter such as # that meets more rules is bound to all of the exchange instead.
	maxBindings = 64
	// maxEntity is the longest name of a queue or exchange on RabbitMQ, in bytes.
	maxEntity = 255
	// scratch is the size of buffers on the stack for keys and addresses. Longer ones cost one more allocation.
	scratch = 256
)
