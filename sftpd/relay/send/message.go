// Package send sends events to a receiver: CloudEvents 1.0 over HTTP, structured or binary, with a token, a signature or a
// client certificate. It makes one attempt, bounds the resources that a receiver can use, and describes the result without
// quoting any part of a credential or anything that the receiver sent.
package send

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/sftp-operator/sftp-operator/sftpd/contract/delivery"
	"github.com/sftp-operator/sftp-operator/sftpd/contract/events"
)

// Message is an event as it is sent.
type Message struct {
	ID     string
	Header http.Header
	Body   []byte
}

// Encode returns the Message for an event in structured JSON, in a format.
func Encode(event []byte, format delivery.Format) (Message, error) {
	if format == delivery.FormatBinary {
		return binary(event)
	}
	var id struct {
		ID string `json:"id"`
	}
	if err := json.Unmarshal(event, &id); err != nil || id.ID == "" {
		return Message{}, errors.New("the event has no id")
	}
	return Message{ID: id.ID, Header: http.Header{"Content-Type": {events.ContentType + "; charset=utf-8"}}, Body: event}, nil
}

// binary encodes an event in the binary content mode of the HTTP binding (section 3.1): attributes are headers, and data is
// the body.
func binary(event []byte) (Message, error) {
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(event, &fields); err != nil {
		return Message{}, errors.New("the event is not JSON")
	}
	m := Message{Header: http.Header{}, Body: fields["data"]}
	delete(fields, "data")
	for name, raw := range fields {
		value, err := attribute(name, raw)
		if err != nil {
			return Message{}, err
		}
		switch name {
		case "datacontenttype":
			m.Header.Set("Content-Type", value)
			continue
		case "id":
			m.ID = value
		}
		m.Header["Ce-"+strings.ToUpper(name[:1])+name[1:]] = []string{escape(value)}
	}
	if m.ID == "" {
		return Message{}, errors.New("the event has no id")
	}
	return m, nil
}

// attribute returns the value of an attribute: a string, a number or a boolean. Names have lower-case letters and digits.
func attribute(name string, raw json.RawMessage) (string, error) {
	if name == "" || strings.ContainsFunc(name, func(r rune) bool { return (r < 'a' || r > 'z') && (r < '0' || r > '9') }) {
		return "", errors.New("the event has an attribute whose name CloudEvents does not allow")
	}
	var text string
	if raw[0] != '"' {
		if raw[0] == '{' || raw[0] == '[' || raw[0] == 'n' {
			return "", fmt.Errorf("attribute %s is not a string, number or boolean", name)
		}
		return string(raw), nil
	}
	err := json.Unmarshal(raw, &text)
	return text, err
}

// escape encodes a value for a header (HTTP binding, section 3.1.3.2): everything except printable ASCII is escaped, and so are
// the space, double quote and percent sign.
func escape(s string) string {
	const hex = "0123456789ABCDEF"
	var b strings.Builder
	for i := range len(s) {
		if c := s[i]; c <= ' ' || c > '~' || c == '"' || c == '%' {
			b.Write([]byte{'%', hex[c>>4], hex[c&15]})
		} else {
			b.WriteByte(c)
		}
	}
	return b.String()
}
