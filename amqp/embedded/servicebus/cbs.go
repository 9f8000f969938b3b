package servicebus

import (
	"time"

	"sluice/amqp/message"
)

// PutToken carries out a request to the $cbs node for the connection that w follows, and makes the answer. A request that cannot be answered, since it names
// no reply-to, is a fault of the link.
func (n *Namespace) PutToken(now time.Time, w *Watch, request *message.Message) (*message.Message, *Fault) {
	if request.Properties.ReplyTo == "" {
		return nil, fault(notAllowed, "a request to %s needs the property reply-to", CBS)
	}
	status, description := n.putToken(now, w, request)
	return &message.Message{
		Header:     message.Header{Priority: message.DefaultPriority},
		Properties: message.Properties{To: request.Properties.ReplyTo, CorrelationID: request.Properties.MessageID},
		ApplicationProperties: map[string]any{
			"status-code": status, "status-description": description,
		},
		HasValue: true,
	}, nil
}

// putToken gives status codes as HTTP has them, as Azure does.
func (n *Namespace) putToken(now time.Time, w *Watch, request *message.Message) (status int32, description string) {
	text := func(name string) string { s, _ := request.ApplicationProperties[name].(string); return s }
	token, isText := request.Value.(string)
	audience := text("name")
	switch {
	case text("operation") != "put-token":
		return 400, "the operation has to be put-token"
	case !isText || audience == "":
		return 400, "the application property name and a token as amqp-value are needed"
	}
	path := entityPath(audience)
	scope, expires, problem := n.verify(text("type"), token, audience)
	switch {
	case problem != "":
		return 401, "Unauthorized: " + problem
	case !covers(scope, path):
		return 401, "Unauthorized: the token is for another resource than " + audience
	case !now.Before(expires):
		return 401, "Unauthorized: ExpiredToken: the token expired at " + expires.UTC().Format(time.RFC3339)
	case !n.below(path):
		return 404, "the messaging entity " + audience + " could not be found"
	case !w.grant(path, expires):
		return 400, "too many tokens on one connection"
	}
	return 202, "Accepted"
}

// below tells whether there is an entity at or below the path.
func (n *Namespace) below(path string) bool {
	for known := range n.nodes {
		if covers(path, known) || covers(known, path) {
			return true
		}
	}
	return false
}
