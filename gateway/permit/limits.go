package permit

const (
	// FileMax bounds a policy file in bytes: what is named by mistake must not fill the memory.
	FileMax = 1 << 20
	// rulesMax bounds the rules of a policy: a device compares its first message on a topic with all that are for it, and each has series of its own in
	// the metrics.
	rulesMax = 500
	// topicsMax bounds the templates of a rule, namesMax each list of names.
	topicsMax = 100
	namesMax  = 1000
	// textMax bounds templates and names in bytes, nameMax the name of a rule.
	textMax = 1024
	nameMax = 64
	// levelsMax bounds the levels of a template.
	levelsMax = 32
	// expandMax bounds the filters that a template becomes for one device, whose claims may be lists.
	expandMax = 64
	// filtersMax bounds the filters of a device, of each action: from the rule on that has more, nothing is allowed to it. A decision about a filter
	// compares them pairwise.
	filtersMax = 1000
	// cacheMax bounds the topics, and the filters, whose decision a device's view remembers, of each kind. Devices use few; what uses more has them all
	// forgotten and begins anew.
	cacheMax = 64
	// problemsMax bounds the problems of a device's view that are told.
	problemsMax = 16
	// faultsMax bounds the faults of a file that are told.
	faultsMax = 50
)
