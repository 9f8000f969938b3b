package hook

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"time"
	"unicode/utf8"

	"sluice/gateway/access"
)

// question is what the service is asked. Members that say nothing are left out. Binary is in base64.
type question struct {
	Listener    string `json:"listener"`
	Remote      string `json:"remote,omitempty"`
	ClientID    string `json:"client_id"`
	UserName    string `json:"user_name,omitempty"`
	Password    string `json:"password,omitempty"`
	PasswordB64 []byte `json:"password_base64,omitempty"` // in place of password, where that is no text
	Certificate string `json:"certificate,omitempty"`
	Serial      string `json:"certificate_serial,omitempty"`
	Method      string `json:"authentication_method,omitempty"`
	Data        []byte `json:"authentication_data,omitempty"`
	// Principal and Tenant are who the device is already, when it authenticates again on an open connection.
	Principal string `json:"principal,omitempty"`
	Tenant    string `json:"tenant,omitempty"`
}

func ask(a *access.Attempt) ([]byte, error) {
	q := question{
		Listener: a.Listener, ClientID: a.ClientID, UserName: a.UserName, Certificate: a.Certificate, Serial: a.Serial, Method: a.Method, Data: a.Data,
	}
	if a.Remote.IsValid() {
		q.Remote = a.Remote.String()
	}
	if utf8.Valid(a.Password) {
		q.Password = string(a.Password)
	} else {
		q.PasswordB64 = a.Password
	}
	if a.Before != nil {
		q.Principal, q.Tenant = a.Before.Name, a.Before.Tenant
	}
	return json.Marshal(&q)
}

// The results of an answer.
const (
	allow  = "allow"
	deny   = "deny"
	ignore = "ignore" // somebody else may know
)

// answer is what the service says.
type answer struct {
	Result    string           `json:"result"`
	Reason    string           `json:"reason"` // for the operator
	Principal string           `json:"principal"`
	Tenant    string           `json:"tenant"`
	Groups    []string         `json:"groups"`
	Claims    map[string]texts `json:"claims"`
	ClientIDs []string         `json:"client_ids"`
	// Credential names what was shown, for revocations.
	Credential string `json:"credential"`
	// Issued and Expires are in seconds since 1970. Zero: not said.
	Issued  float64 `json:"issued"`
	Expires float64 `json:"expires"`
	// Cache is for how many seconds the answer may be used for the same question.
	Cache float64 `json:"cache_seconds"`
}

// texts is a text or a list of texts.
type texts []string

// UnmarshalJSON implements json.Unmarshaler.
func (t *texts) UnmarshalJSON(b []byte) error {
	if bytes.HasPrefix(b, []byte("[")) {
		return json.Unmarshal(b, (*[]string)(t))
	}
	var s string
	err := json.Unmarshal(b, &s)
	*t = texts{s}
	return err
}

// verdict is an answer that can be acted on: a principal, or why there is none (*access.Refused, access.ErrNotMine).
type verdict struct {
	principal *access.Principal
	err       error
	keep      time.Duration
}

// read reads an answer. The error says that it is none.
func read(body []byte, now time.Time) (*verdict, error) {
	var a answer
	d := json.NewDecoder(bytes.NewReader(body))
	d.DisallowUnknownFields() // a name that is written wrong could be an expiry
	if err := d.Decode(&a); err != nil {
		return nil, fmt.Errorf("the answer is not as docs/authentication.md has it: %w", err)
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("the answer is more than one JSON object")
	}
	issued, err := moment("issued", a.Issued)
	if err != nil {
		return nil, err
	}
	expires, err := moment("expires", a.Expires)
	if err != nil {
		return nil, err
	}
	if math.IsNaN(a.Cache) || a.Cache < 0 {
		return nil, errors.New("cache_seconds is less than nothing")
	}
	v := &verdict{keep: time.Duration(min(a.Cache, cacheTimeMax.Seconds()) * float64(time.Second))}
	switch a.Result {
	case allow:
		err = v.admit(&a, issued, expires, now)
	case deny:
		v.err = &access.Refused{Reason: ReasonDenied, Detail: fmt.Sprintf("the service says: %.200q", a.Reason)}
	case ignore:
		v.err = access.ErrNotMine
	default:
		err = fmt.Errorf("result is %.40q; it is to be allow, deny or ignore", a.Result)
	}
	return v, err
}

// admit fills in the principal. One that is not complete or too large is a fault of the service.
func (v *verdict) admit(a *answer, issued, expires, now time.Time) error {
	p := &access.Principal{
		Tenant: a.Tenant, Name: a.Principal, Groups: a.Groups, Source: source, Credential: a.Credential, Issued: issued, Expires: expires, ClientIDs: a.ClientIDs,
	}
	if p.Tenant == "" {
		p.Tenant = access.DefaultTenant
	}
	if p.Credential != "" {
		p.Credential = source + ":" + p.Credential
	}
	for name, list := range a.Claims {
		if p.Claims == nil {
			p.Claims = map[string][]string{}
		}
		p.Claims[name] = list
	}
	var refused *access.Refused
	if err := p.Check(ReasonDenied); errors.As(err, &refused) {
		return fmt.Errorf("the principal of the answer cannot be used: %s", refused.Detail)
	}
	if !expires.IsZero() {
		if !expires.After(now) {
			v.err = &access.Refused{Reason: ReasonExpired, Detail: "what the device shows ended at " + expires.UTC().Format(time.DateTime), Expired: true}
			return nil
		}
		v.keep = min(v.keep, expires.Sub(now))
	}
	v.principal = p
	return nil
}

func moment(name string, seconds float64) (time.Time, error) {
	switch {
	case seconds == 0:
		return time.Time{}, nil
	case seconds < 1 || seconds > timeMax:
		return time.Time{}, fmt.Errorf("%s is no number of seconds since 1970", name)
	}
	whole := int64(seconds)
	return time.Unix(whole, int64((seconds-float64(whole))*1e9)), nil
}
