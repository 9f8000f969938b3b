package frame

import (
	"encoding/hex"
	"strings"
	"testing"

	"sluice/amqp/message"
)

func unhex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(strings.ReplaceAll(s, " ", ""))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// sample is a performative and the frame body that we write for it, built by hand from the standard.
type sample struct {
	name, hex string
	sasl      bool
	p         Performative
}

func (s sample) typ() uint8 {
	if s.sasl {
		return TypeSASL
	}
	return TypeAMQP
}

var samples = []sample{
	{name: "open, only what is mandatory", hex: "005310 c00401 a10163",
		p: &Open{ContainerID: "c", MaxFrameSize: DefaultMaxFrameSize, ChannelMax: DefaultChannelMax}},
	{name: "open in full", hex: "005310 c0370a a10163 a10168 7000010000 600001 7000007530 e00401a30164 40 e00401a30161 e00802a3 0162 03636363 " +
		"c10a02 a30170 c00403 40 41 42",
		p: &Open{ContainerID: "c", Hostname: "h", MaxFrameSize: 65536, ChannelMax: 1, IdleTimeout: 30000, OutgoingLocales: []Symbol{"d"},
			OfferedCapabilities: []Symbol{"a"}, DesiredCapabilities: []Symbol{"b", "ccc"},
			Properties: Map{{Key: Symbol("p"), Value: []any{nil, true, false}}}}},
	{name: "begin", hex: "005311 c00704 40 43 5264 52c8", p: &Begin{IncomingWindow: 100, OutgoingWindow: 200, HandleMax: DefaultHandleMax}},
	{name: "begin answered", hex: "005311 c00a05 600007 5201 43 43 52ff",
		p: &Begin{RemoteChannel: Some(uint16(7)), NextOutgoingID: 1, HandleMax: 255}},
	{name: "attach of a receiver", hex: "005312 c00c06 a1016e 43 41 40 40 005328 45",
		p: &Attach{Name: "n", Role: RoleReceiver, SenderSettleMode: SenderMixed, Source: &Source{ExpiryPolicy: ExpireSessionEnd}}},
	{name: "attach of a sender to a coordinator",
		hex: "005312 c01e0a a1016e 5201 42 5000 5001 40 005330 c00701 e00401a30174 c10100 41 5203",
		p: &Attach{Name: "n", Handle: 1, ReceiverSettleMode: ReceiverSecond, Coordinator: &Coordinator{Capabilities: []Symbol{"t"}},
			Unsettled: []Unsettled{}, IncompleteUnsettled: true, InitialDeliveryCount: Some(uint32(3))}},
	{name: "attach in full", hex: fullAttach, p: &Attach{Name: "n", Role: RoleSender, SenderSettleMode: SenderSettled,
		Source: &Source{Address: Some("s"), Durable: DurabilityUnsettledState, ExpiryPolicy: ExpireNever, Timeout: 300, Dynamic: true,
			DynamicNodeProperties: Map{}, DistributionMode: DistributionCopy,
			Filter:         Map{{Key: Symbol("f"), Value: message.Described{Descriptor: uint64(1), Value: "x"}}},
			DefaultOutcome: &Modified{DeliveryFailed: true}, Outcomes: []Symbol{"o"}, Capabilities: []Symbol{"c"}},
		Target: &Target{Address: Some(""), ExpiryPolicy: ExpireLinkDetach, Capabilities: []Symbol{"queue"}},
		Unsettled: []Unsettled{{Tag: []byte{1}}, {Tag: []byte{2}, State: &Received{SectionNumber: 1, SectionOffset: 2}},
			{Tag: []byte{3}, State: &Accepted{}}},
		InitialDeliveryCount: Some(uint32(0)), MaxMessageSize: 1024, OfferedCapabilities: []Symbol{"a"}, Properties: Map{}}},
	{name: "flow of a session", hex: "005313 c00804 43 5264 5201 5265",
		p: &Flow{NextIncomingID: Some(uint32(0)), IncomingWindow: 100, NextOutgoingID: 1, OutgoingWindow: 101}},
	{name: "flow of a link", hex: "005313 c00f0b 40 43 43 43 43 43 5264 43 41 41 c10100",
		p: &Flow{Handle: Some(uint32(0)), DeliveryCount: Some(uint32(0)), LinkCredit: Some(uint32(100)), Available: Some(uint32(0)),
			Drain: true, Echo: true, Properties: Map{}}},
	{name: "transfer", hex: "005314 c00905 43 5207 a00174 43 41",
		p: &Transfer{DeliveryID: Some(uint32(7)), DeliveryTag: []byte("t"), MessageFormat: Some(uint32(0)), Settled: true}},
	{name: "transfer in full", hex: "005314 c0120b 5201 43 a000 43 41 41 5001 005324 45 41 41 41",
		p: &Transfer{Handle: 1, DeliveryID: Some(uint32(0)), DeliveryTag: []byte{}, MessageFormat: Some(uint32(0)), Settled: true, More: true,
			ReceiverSettleMode: Some(ReceiverSecond), State: &Accepted{}, Resume: true, Aborted: true, Batchable: true}},
	{name: "disposition", hex: "005315 c00a05 41 43 5209 41 005324 45", p: &Disposition{Role: RoleReceiver, Last: Some(uint32(9)), Settled: true,
		State: &Accepted{}}},
	{name: "disposition released", hex: "005315 c00a06 42 43 40 40 005326 45 41", p: &Disposition{State: &Released{}, Batchable: true}},
	{name: "disposition rejected", hex: "005315 c01a05 42 43 40 40 005325 c01001 00531d c00a03 a301 78 a101 79 c10100",
		p: &Disposition{State: &Rejected{Error: &Error{Condition: "x", Description: "y", Info: Map{}}}}},
	{name: "disposition rejected without an error", hex: "005315 c00905 42 43 40 40 005325 45", p: &Disposition{State: &Rejected{}}},
	{name: "disposition modified", hex: "005315 c01405 42 43 40 40 005327 c00a03 40 41 c10502 a30161 40",
		p: &Disposition{State: &Modified{UndeliverableHere: true, MessageAnnotations: Map{{Key: Symbol("a")}}}}},
	{name: "detach", hex: "005316 c00302 43 41 ", p: &Detach{Closed: true}},
	{name: "detach with an error", hex: "005316 c00c03 43 40 00531d c00401 a30178", p: &Detach{Error: &Error{Condition: "x"}}},
	{name: "end", hex: "005317 45", p: &End{}},
	{name: "end with an error", hex: "005317 c00a01 00531d c00401 a30178", p: &End{Error: &Error{Condition: "x"}}},
	{name: "close", hex: "005318 45", p: &Close{}},
	{name: "close with an error", hex: "005318 c00a01 00531d c00401 a30178", p: &Close{Error: &Error{Condition: "x"}}},
	{name: "sasl mechanisms", sasl: true, hex: "005340 c01501 e01202a3 05504c41494e 09414e4f4e594d4f5553",
		p: &SASLMechanisms{Mechanisms: []Symbol{"PLAIN", "ANONYMOUS"}}},
	{name: "sasl init", sasl: true, hex: "005341 c01103 a305504c41494e a004006100 62 a10168",
		p: &SASLInit{Mechanism: "PLAIN", InitialResponse: []byte("\x00a\x00b"), Hostname: "h"}},
	{name: "sasl challenge", sasl: true, hex: "005342 c00401 a00163", p: &SASLChallenge{Challenge: []byte("c")}},
	{name: "sasl response", sasl: true, hex: "005343 c00301 a000", p: &SASLResponse{Response: []byte{}}},
	{name: "sasl outcome", sasl: true, hex: "005344 c00301 5001", p: &SASLOutcome{Code: SASLAuth}},
	{name: "sasl outcome with data", sasl: true, hex: "005344 c00602 5000 a00164", p: &SASLOutcome{AdditionalData: []byte("d")}},
}

const fullAttach = "005312 c09c0e a1016e 43 42 5001 40" +
	" 005328 c03b0b a10173 5202 a3056e65766572 700000012c 41 c10100 a304636f7079 c10a02 a30166 00 5301 a10178" +
	" 005327 c00201 41 e00401a3016f e00401a30163" +
	" 005329 c01e07 a100 40 a30b6c696e6b2d646574616368 40 40 40 e00801a3057175657565" +
	" c11906 a00101 40 a00102 005323 c00502 5201 5302 a00103 005324 45" +
	" 40 43 800000000000000400 e00401a30161 40 c10100"
