package config

import (
	"fmt"
	"net"
	"net/url"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"

	"sluice/mapping"
)

// setter checks a value as it came from file, environment or flag and stores it. The error says what is wrong and what would be right; the
// key and the value are put before it.
type setter func(value any) error

type presence bool

const (
	required   presence = false
	offAllowed presence = true
)

func text(dst *string) setter {
	return func(v any) error {
		s, ok := v.(string)
		if !ok {
			return fmt.Errorf("is not a text; put it in quotes")
		}
		*dst = s
		return nil
	}
}

func integer(dst *int, low, high int) setter {
	return func(v any) error {
		n, err := strconv.Atoi(strings.TrimSpace(fmt.Sprint(v)))
		if err != nil || n < low || n > high {
			return fmt.Errorf("is not a whole number from %d to %d", low, high)
		}
		*dst = n
		return nil
	}
}

func duration(dst *time.Duration, low, high time.Duration) setter {
	return func(v any) error {
		s := strings.TrimSpace(fmt.Sprint(v))
		d, err := time.ParseDuration(s)
		if err != nil {
			return fmt.Errorf("is not a time with its unit; write it like 500ms, 30s, 5m or 2h")
		}
		if d < low || d > high {
			return fmt.Errorf("is not between %v and %v", low, high)
		}
		*dst = d
		return nil
	}
}

func oneOf(dst *string, allowed ...string) setter {
	return func(v any) error {
		s := fmt.Sprint(v)
		if !slices.Contains(allowed, s) {
			return fmt.Errorf("is none of %s", strings.Join(allowed, ", "))
		}
		*dst = s
		return nil
	}
}

// inherited is oneOf, or empty for what another key says.
func inherited(dst *string, allowed []string) setter {
	return func(v any) error {
		s := fmt.Sprint(v)
		if s != "" && !slices.Contains(allowed, s) {
			return fmt.Errorf("is none of %s, and not empty", strings.Join(allowed, ", "))
		}
		*dst = s
		return nil
	}
}

func onOff(dst *bool) setter {
	return func(v any) error {
		var s string
		err := oneOf(&s, "on", "off", "true", "false")(v)
		*dst = s == "on" || s == "true"
		return err
	}
}

func marks(dst *mapping.MarksIn) setter {
	return func(v any) error {
		var s string
		err := oneOf(&s, "auto", "annotations", "properties")(v)
		switch s {
		case "annotations":
			*dst = mapping.MarksInAnnotations
		case "properties":
			*dst = mapping.MarksInProperties
		default:
			*dst = mapping.MarksByBus
		}
		return err
	}
}

func eventNames(dst *mapping.CloudEvents) setter {
	return func(v any) error {
		var s string
		err := oneOf(&s, mapping.EventColon, mapping.EventUnderscore, "off")(v)
		if dst.Off = s == "off"; !dst.Off {
			dst.AMQP = s
		}
		return err
	}
}

func urlPath(dst *string) setter {
	return func(v any) error {
		s := fmt.Sprint(v)
		if u, err := url.Parse(s); err != nil || !strings.HasPrefix(s, "/") || u.Host != "" || u.Path != s {
			return fmt.Errorf("is not the path of a URL; write it like /mqtt, without host, query and percent signs")
		}
		*dst = s
		return nil
	}
}

func origins(dst *[]string) setter {
	return func(v any) error {
		list, err := texts(v)
		if err != nil {
			return err
		}
		for _, s := range list {
			host := s
			if _, rest, ok := strings.Cut(s, "://"); ok {
				host = rest
			}
			if _, err := path.Match(s, ""); err != nil || host == "" || strings.Contains(host, "/") {
				return fmt.Errorf("has %q, which is no origin; write a host or scheme://host, such as *.example.com", s)
			}
		}
		*dst = list
		return nil
	}
}

// queueName takes the name of a queue on the bus, or off.
func queueName(dst *string) setter {
	return func(v any) error {
		s, _ := v.(string)
		invalid := func(r rune) bool { return r <= ' ' || r > '~' || r == '/' }
		switch {
		case s == "off":
			*dst = ""
			return nil
		case s == "" || len(s) > 255 || strings.IndexFunc(s, invalid) >= 0:
			return fmt.Errorf("is no name of a queue: use up to 255 characters of printable ASCII without space and /, or off")
		}
		*dst = s
		return nil
	}
}

// busAddress takes the name of a queue, an address on the bus, or off.
func busAddress(dst *string) setter {
	return func(v any) error {
		s, _ := v.(string)
		if !strings.HasPrefix(s, "/") {
			return queueName(dst)(v)
		}
		if _, ok := mapping.RabbitMQ.ParseAddress(s); !ok {
			return fmt.Errorf("is no address of the bus: write the name of a queue, /queues/name or /exchanges/name/key, percent-encoded, or off")
		}
		*dst = s
		return nil
	}
}

// texts reads a list, or a text with commas. Empty elements do not count.
func texts(v any) ([]string, error) {
	var list []string
	switch v := v.(type) {
	case string:
		list = strings.Split(v, ",")
	case []any:
		for _, e := range v {
			list = append(list, fmt.Sprint(e))
		}
	case []string:
		list = v
	default:
		return nil, fmt.Errorf("is neither a text nor a list of texts")
	}
	var out []string
	for _, s := range list {
		if s = strings.TrimSpace(s); s != "" {
			out = append(out, s)
		}
	}
	return out, nil
}

func address(dst *string, p presence) setter {
	return func(v any) error {
		s := fmt.Sprint(v)
		// YAML reads a bare off as the boolean false.
		if p == offAllowed && (s == "off" || s == "" || s == "false") {
			*dst = ""
			return nil
		}
		_, port, err := net.SplitHostPort(s)
		if err != nil {
			return fmt.Errorf("is not an address; write host:port, such as 127.0.0.1:1883")
		}
		if n, err := strconv.Atoi(port); err != nil || n < 0 || n > 65535 {
			return fmt.Errorf("has no port from 0 to 65535")
		}
		*dst = s
		return nil
	}
}

func busURLs(dst *[]string) setter {
	return func(v any) error {
		urls, err := texts(v)
		if err != nil {
			return err
		}
		for _, s := range urls {
			if err := checkURL(s, "amqp", "amqps"); err != nil {
				return err
			}
		}
		*dst = urls
		return nil
	}
}

func storeURL(dst *string) setter {
	return func(v any) error {
		s := strings.TrimSpace(fmt.Sprint(v))
		if s != "" {
			if err := checkURL(s, "redis", "rediss", "redis+cluster", "rediss+cluster", "redis+sentinel", "rediss+sentinel"); err != nil {
				return err
			}
		}
		*dst = s
		return nil
	}
}

// collectorURL takes the URL of an OTLP receiver, and gives it the path of the protocol where it has none.
func collectorURL(dst *string) setter {
	return func(v any) error {
		s := strings.TrimSpace(fmt.Sprint(v))
		if s != "" {
			if err := checkURL(s, "http", "https"); err != nil {
				return err
			}
			u, _ := url.Parse(s)
			if strings.Trim(u.Path, "/") == "" {
				u.Path = "/v1/traces"
			}
			s = u.String()
		}
		*dst = s
		return nil
	}
}

func fraction(dst *float64) setter {
	return func(v any) error {
		f, err := strconv.ParseFloat(strings.TrimSpace(fmt.Sprint(v)), 64)
		if err != nil || !(f >= 0 && f <= 1) {
			return fmt.Errorf("is not a number from 0 to 1, such as 0.01")
		}
		*dst = f
		return nil
	}
}

func checkURL(s string, schemes ...string) error {
	u, err := url.Parse(s)
	if err != nil {
		// url.Parse's own error would repeat the URL, password and all.
		return fmt.Errorf("is not a URL; write it like %s://user:password@host:port, with special characters percent-encoded", schemes[0])
	}
	if !slices.Contains(schemes, u.Scheme) {
		return fmt.Errorf("does not begin with %s://", strings.Join(schemes, ":// or "))
	}
	if u.Host == "" {
		return fmt.Errorf("names no host; write it like %s://host:port", schemes[0])
	}
	return nil
}

func nodeID(dst *string) setter {
	return func(v any) error {
		s := fmt.Sprint(v)
		if len(s) > 128 || strings.ContainsFunc(s, func(r rune) bool { return r <= ' ' || r > '~' || r == '/' }) {
			return fmt.Errorf("is not a name of at most 128 printable ASCII characters without spaces and slashes")
		}
		*dst = s
		return nil
	}
}

func loopback(address string) bool {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return false
	}
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}
