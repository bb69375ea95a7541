package events

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"unicode/utf8"
)

// ErrTooLarge is returned for an event with more than MaxSize bytes.
var ErrTooLarge = fmt.Errorf("an event must not have more than %d bytes", MaxSize)

// Encode returns an event in structured JSON, without a newline. It fails for an event that Validate refuses, and with
// ErrTooLarge.
func Encode(e *Event) ([]byte, error) {
	if err := e.Validate(); err != nil {
		return nil, err
	}
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(e); err != nil {
		return nil, fmt.Errorf("encode event: %w", err)
	}
	out := bytes.TrimSuffix(b.Bytes(), []byte("\n"))
	if len(out) > MaxSize {
		return nil, ErrTooLarge
	}
	return out, nil
}

// Decode parses an event encoded by this or another release: it ignores unknown fields and accepts unknown types.
func Decode(data []byte) (*Event, error) {
	if len(data) > MaxSize {
		return nil, ErrTooLarge
	}
	e := new(Event)
	if err := json.Unmarshal(data, e); err != nil {
		return nil, fmt.Errorf("decode event: %w", err)
	}
	if err := e.Validate(); err != nil {
		return nil, err
	}
	return e, nil
}

// Validate returns an error for an event that breaks a rule of CloudEvents or a limit of this package.
func (e *Event) Validate() error {
	switch {
	case e.SpecVersion != SpecVersion:
		return fmt.Errorf("specversion must be %s", SpecVersion)
	case e.ID == "" || len(e.ID) > maxName:
		return fmt.Errorf("id must have 1 to %d bytes", maxName)
	case e.Type == "" || len(e.Type) > maxName:
		return fmt.Errorf("type must have 1 to %d bytes", maxName)
	case e.Time.IsZero():
		return errors.New("time must be set")
	case e.DataContentType != DataContentType:
		return fmt.Errorf("datacontenttype must be %s", DataContentType)
	case e.Sequence == "":
		return errors.New("sequence must be set")
	case len(e.Subject) > MaxSubject:
		return fmt.Errorf("subject must not have more than %d bytes", MaxSubject)
	}
	if err := ValidateSource(e.Source); err != nil {
		return err
	}
	for name, value := range map[string]string{
		"id": e.ID, "type": string(e.Type), "subject": e.Subject, "partitionkey": e.PartitionKey,
		"sequence": e.Sequence, "authtype": e.AuthType, "authid": e.AuthID,
	} {
		if !utf8.ValidString(value) || strings.ContainsFunc(value, func(r rune) bool { return !allowed(r) }) {
			return fmt.Errorf("%s has characters that CloudEvents does not allow", name)
		}
	}
	return nil
}

// ValidateSource returns an error for a source that is not an absolute URI of at most 512 bytes.
func ValidateSource(source string) error {
	u, err := url.Parse(source)
	if err != nil || !u.IsAbs() || len(source) > maxName || strings.ContainsFunc(source, func(r rune) bool { return r <= ' ' || r >= 0x7F }) {
		return fmt.Errorf("source must be an absolute URI of at most %d bytes", maxName)
	}
	return nil
}

// Source returns the source of a listener's events. cluster is a host name, "" for a cluster without a name.
func Source(cluster, namespace, listener string) string {
	if cluster == "" {
		cluster = "sftp-operator"
	}
	return "https://" + cluster + "/apis/sftp-operator.io/v1alpha1/namespaces/" + namespace + "/sftplisteners/" + listener
}
