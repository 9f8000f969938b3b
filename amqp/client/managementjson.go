package client

import (
	"context"
	"encoding/json"
	"fmt"

	goamqp "github.com/Azure/go-amqp"

	"sluice/amqp"
	"sluice/amqp/message"
	"sluice/amqp/topology"
)

// jsonOperations is how ActiveMQ Artemis is managed: a message names a resource and an operation, its body is a text with the arguments as a JSON list.
// The answer goes to reply-to, a temporary queue of ours, and is JSON again. Answers come in the order of the requests, with their ids.
type jsonOperations struct{ reply string }

const jsonNode = "activemq.management"

func (j *jsonOperations) attach(s *goamqp.Session) (sender *goamqp.Sender, receiver *goamqp.Receiver, err error) {
	settled := goamqp.SenderSettleModeSettled
	receiver, err = s.NewReceiver(context.Background(), "", &goamqp.ReceiverOptions{DynamicAddress: true, SourceCapabilities: []string{"temporary-queue"},
		RequestedSenderSettleMode: &settled, Credit: managementCredit})
	if err != nil {
		return nil, nil, err
	}
	j.reply = receiver.Address()
	sender, err = s.NewSender(context.Background(), jsonNode, &goamqp.SenderOptions{SettlementMode: &settled})
	return sender, receiver, err
}

func (j *jsonOperations) largest() int { return maxJSONRequest }

func (j *jsonOperations) request(r topology.Request, id string) (*goamqp.Message, error) {
	arguments, err := json.Marshal(r.Body)
	if err != nil {
		return nil, err
	}
	return &goamqp.Message{Value: string(arguments), Properties: &goamqp.MessageProperties{MessageID: id, ReplyTo: &j.reply},
		ApplicationProperties: map[string]any{"_AMQ_ResourceName": r.Path, "_AMQ_OperationName": r.Method}}, nil
}

// response: the answer is a list with the result, or nothing where the operation gives nothing.
func (j *jsonOperations) response(m *message.Message) (id string, r topology.Response, err error) {
	id, _ = m.Properties.CorrelationID.(string)
	r.Status = 500
	if ok, _ := m.ApplicationProperties["_AMQ_OperationSucceeded"].(bool); ok {
		r.Status = 200
	}
	text, _ := m.Value.(string)
	if text == "" {
		return id, r, nil
	}
	var result []any
	if err := json.Unmarshal([]byte(text), &result); err != nil {
		return id, r, fmt.Errorf("%w: the answer is no JSON list: %w", amqp.ErrUnavailable, err)
	}
	if len(result) > 0 {
		r.Body = result[0]
	}
	return id, r, nil
}
