package client

import (
	"context"
	"fmt"
	"strconv"

	goamqp "github.com/Azure/go-amqp"

	"sluice/amqp"
	"sluice/amqp/message"
	"sluice/amqp/topology"
)

// httpVerbs is how RabbitMQ 4 and the embedded bus are managed: HTTP's verbs and status codes as AMQP messages.
//
// The order at the attach matters: receiver first, both links of the same name, the sender's source equal to the receiver's target, and credit
// for the answer before the request.
type httpVerbs struct{}

const (
	managementNode = "/management"
	replyTo        = "$me"
)

func (httpVerbs) attach(s *goamqp.Session) (sender *goamqp.Sender, receiver *goamqp.Receiver, err error) {
	const name = "management-link-pair"
	paired := map[string]any{"paired": true}
	settled := goamqp.SenderSettleModeSettled
	receiver, err = s.NewReceiver(context.Background(), managementNode, &goamqp.ReceiverOptions{
		Name: name, Properties: paired, TargetAddress: replyTo, RequestedSenderSettleMode: &settled, Credit: managementCredit})
	if err != nil {
		return nil, nil, err
	}
	sender, err = s.NewSender(context.Background(), managementNode, &goamqp.SenderOptions{
		Name: name, Properties: paired, SourceAddress: replyTo, SettlementMode: &settled})
	return sender, receiver, err
}

func (httpVerbs) largest() int { return maxManagementRequest }

func (httpVerbs) request(r topology.Request, id string) (*goamqp.Message, error) {
	body, err := encodeValue(r.Body)
	if err != nil {
		return nil, err
	}
	if body == nil {
		body = goamqp.Null{} // explicit: a request without a body section ends the session
	}
	reply := replyTo
	return &goamqp.Message{Value: body, Properties: &goamqp.MessageProperties{MessageID: id, To: &r.Path, Subject: &r.Method, ReplyTo: &reply}}, nil
}

func (httpVerbs) response(m *message.Message) (id string, r topology.Response, err error) {
	id, _ = m.Properties.CorrelationID.(string)
	if r.Status, err = strconv.Atoi(m.Properties.Subject); err != nil {
		err = fmt.Errorf("%w: the answer's status is %q", amqp.ErrUnavailable, m.Properties.Subject)
	}
	r.Body = m.Value
	return id, r, err
}
