package delivery

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"net/url"
	"slices"
	"time"

	"github.com/sftp-operator/sftp-operator/sftpd/contract/events"
)

// Names and ports of a relay's pod.
const (
	// ConfigFile is the name of the file with a Config.
	ConfigFile = "relay.json"
	// StatusPath is the path of a Status on the relay's status port. A request needs events.Proof, and the answer is sealed.
	StatusPath = "/status"
)

// Limits of a Config.
const (
	// MaxConfig is the maximum size of a configuration in bytes. A Secret holds 1 MiB.
	MaxConfig = 1 << 20
	// MaxSinks is the maximum number of sinks of a relay.
	MaxSinks = 8
	// MaxFilter is the maximum size of a filter in bytes, MaxUsers the maximum number of entries in Sink.Users.
	MaxFilter = 1024
	MaxUsers  = 64
	// MaxCredential is the maximum size of a token, a secret, a certificate, a private key or a bundle of CAs, in bytes.
	MaxCredential = 32 << 10
	// MaxTimeout bounds one attempt.
	MaxTimeout = 5 * time.Minute
)

// Config is the configuration of a relay. It contains credentials: only names in it may be logged.
type Config struct {
	// Namespace and Listener name the SFTPListener.
	Namespace string `json:"namespace"`
	Listener  string `json:"listener"`
	// Pods is the DNS name of the listener's pods, and Port that of their status port.
	Pods string `json:"pods"`
	Port int    `json:"port"`
	// Key is the key of the pods' events, see events.ParseKey.
	Key string `json:"key"`
	// Sinks by name.
	Sinks []Sink `json:"sinks"`
}

// Sink is a receiver of events.
type Sink struct {
	Name string `json:"name"`
	// Held is why nothing is sent to the sink, so that its events wait; "" if they are sent. If Held is empty, the other fields are
	// complete.
	Held string `json:"held,omitempty"`

	// URL where events are sent, http or https.
	URL string `json:"url,omitempty"`
	// Reach is the set of addresses that the URL's name may resolve to, and Networks are further allowed
	// networks, in CIDR notation.
	Reach    Reach    `json:"reach,omitempty"`
	Networks []string `json:"networks,omitempty"`

	// Users whose events are sent: namespace/name, or namespace/* for all of a namespace. Empty for all.
	Users []string `json:"users,omitempty"`
	// Filter is a CEL expression, "" for none.
	Filter string `json:"filter,omitempty"`
	Format Format `json:"format,omitempty"`

	// TimeoutSeconds bounds one attempt, and GiveUpSeconds how long delivery of an event is attempted.
	TimeoutSeconds int `json:"timeoutSeconds,omitempty"`
	GiveUpSeconds  int `json:"giveUpSeconds,omitempty"`

	// Bearer is a token, HMAC a secret to sign with, ClientCertificate and ClientKey are in PEM format. CABundle replaces the
	// system's CAs, in PEM format.
	Bearer            string `json:"bearer,omitempty"`
	HMAC              string `json:"hmac,omitempty"`
	ClientCertificate string `json:"clientCertificate,omitempty"`
	ClientKey         string `json:"clientKey,omitempty"`
	CABundle          string `json:"caBundle,omitempty"`
}

// Reach is a set of addresses.
type Reach string

// Reaches. Both exclude addresses of the node itself, link-local ones, where clouds have their metadata, and the API server.
const (
	// ReachService: private addresses, as Services and pods have.
	ReachService Reach = "Service"
	// ReachPublic: addresses of the internet.
	ReachPublic Reach = "Public"
)

// Format is how events are encoded.
type Format string

// Formats: the two content modes of CloudEvents' HTTP binding.
const (
	FormatStructured Format = "Structured"
	FormatBinary     Format = "Binary"
)

// Timeout returns TimeoutSeconds as a duration.
func (s Sink) Timeout() time.Duration { return time.Duration(s.TimeoutSeconds) * time.Second }

// GiveUp returns GiveUpSeconds as a duration.
func (s Sink) GiveUp() time.Duration { return time.Duration(s.GiveUpSeconds) * time.Second }

// Encode returns a configuration as a file. Equal configurations give equal bytes.
func (c Config) Encode() ([]byte, error) {
	if err := c.Validate(); err != nil {
		return nil, err
	}
	out, err := json.Marshal(c)
	if err == nil && len(out) > MaxConfig {
		err = fmt.Errorf("the configuration of the relay has %d bytes, more than %d", len(out), MaxConfig)
	}
	return out, err
}

// Decode parses the result of Encode. It refuses unknown fields: they may be restrictions. Its errors quote nothing from the file
// except names of sinks and fields.
func Decode(data []byte) (Config, error) {
	var c Config
	if len(data) > MaxConfig {
		return c, fmt.Errorf("more than %d bytes", MaxConfig)
	}
	d := json.NewDecoder(bytes.NewReader(data))
	d.DisallowUnknownFields()
	if err := d.Decode(&c); err != nil {
		return Config{}, quiet(err)
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return Config{}, errors.New("unexpected data after the configuration")
	}
	if err := c.Validate(); err != nil {
		return Config{}, err
	}
	return c, nil
}

// quiet returns an error of encoding/json without any input that it may quote.
func quiet(err error) error {
	if t, ok := errors.AsType[*json.UnmarshalTypeError](err); ok {
		return fmt.Errorf("field %s has the wrong type", t.Field)
	}
	if s, ok := errors.AsType[*json.SyntaxError](err); ok {
		return fmt.Errorf("invalid JSON at byte %d", s.Offset)
	}
	return errors.New("not a configuration of this version of the relay")
}

// Validate returns an error for a configuration that a relay cannot use.
func (c Config) Validate() error {
	switch {
	case c.Namespace == "" || c.Listener == "":
		return errors.New("namespace and listener must be set")
	case c.Pods == "" || c.Port < 1 || c.Port > 65535:
		return errors.New("pods and port must be set")
	case len(c.Sinks) > MaxSinks:
		return fmt.Errorf("more than %d sinks", MaxSinks)
	}
	if _, err := events.ParseKey([]byte(c.Key)); err != nil {
		return err
	}
	seen := map[string]bool{}
	for _, s := range c.Sinks {
		if s.Name == "" || seen[s.Name] {
			return fmt.Errorf("sink %q: names must be set and unique", s.Name)
		}
		seen[s.Name] = true
		if err := s.Validate(); err != nil {
			return fmt.Errorf("sink %q: %w", s.Name, err)
		}
	}
	return nil
}

// Validate returns an error for a sink that a relay cannot send to. It quotes no part of a credential.
func (s Sink) Validate() error {
	if s.Held != "" {
		return nil
	}
	u, err := url.Parse(s.URL)
	switch {
	case err != nil || u.Host == "" || u.User != nil || u.Fragment != "" || u.Scheme != "http" && u.Scheme != "https":
		return errors.New("url must be http or https with a host, without a user or fragment")
	case s.Reach != ReachService && s.Reach != ReachPublic:
		return errors.New("reach must be Service or Public")
	case s.Format != FormatStructured && s.Format != FormatBinary:
		return errors.New("format must be Structured or Binary")
	case s.TimeoutSeconds < 1 || s.Timeout() > MaxTimeout:
		return fmt.Errorf("timeoutSeconds must be 1 to %d", int(MaxTimeout.Seconds()))
	case s.GiveUpSeconds < 1:
		return errors.New("giveUpSeconds must be positive")
	case len(s.Users) > MaxUsers || len(s.Filter) > MaxFilter:
		return fmt.Errorf("more than %d users, or a filter of more than %d bytes", MaxUsers, MaxFilter)
	case (s.ClientCertificate == "") != (s.ClientKey == ""):
		return errors.New("clientCertificate and clientKey must be set together")
	}
	return s.validateParts()
}

func (s Sink) validateParts() error {
	for _, c := range []string{s.Bearer, s.HMAC, s.ClientCertificate, s.ClientKey, s.CABundle} {
		if len(c) > MaxCredential {
			return fmt.Errorf("a credential has more than %d bytes", MaxCredential)
		}
	}
	if slices.ContainsFunc(s.Networks, func(n string) bool { _, err := netip.ParsePrefix(n); return err != nil }) {
		return errors.New("networks must be in CIDR notation")
	}
	return nil
}
