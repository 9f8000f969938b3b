package clientid

const (
	// TemplatesMax and TemplateMax bound a list of templates, and each of them in bytes: a device is held against them with each CONNECT, and a principal's own come
	// out of a token or the answer of a hook.
	TemplatesMax = 64
	TemplateMax  = 256
	// assignedMax bounds an identifier that is made for a device, in bytes: it is in topics, queue names and logs.
	assignedMax = 256
)
