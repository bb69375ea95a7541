package config

import (
	"errors"
	"fmt"
)

// MaxHostKeys limits the host keys of an endpoint, in all states together. The public halves of all of them go to each client
// that logs in.
const MaxHostKeys = 16

// States of a host key. They are the steps of its rotation, in this order except that Retiring comes after HostKeyActive.
const (
	// HostKeyStaged is loaded and checked, but not announced: a client that knows a key and meets a pod that does not announce it
	// forgets the key, so all pods have it before the first of them announces it. It is proved to clients that ask for it.
	HostKeyStaged = "Staged"
	// HostKeyAdvertised is announced, and proved, so that clients learn it; no key exchange
	// uses it.
	HostKeyAdvertised = "Advertised"
	// HostKeyActive signs key exchanges, and is announced and proved. There is at most one of each type of key, because a client
	// asks for a type, not for a key.
	HostKeyActive = ""
	// HostKeyRetiring was active. It is still announced and proved, so that clients keep it and a rollback needs no prompt. Key
	// exchanges use it only where no active key has its type: the first of these in the list, if there are several.
	HostKeyRetiring = "Retiring"
)

// HostKey is a private host key's file, and how the key is used.
type HostKey struct {
	File
	// State is HostKeyStaged, HostKeyAdvertised, HostKeyActive or HostKeyRetiring.
	State string `json:"state,omitempty"`
	// Certificate is an OpenSSH host certificate for the key: one line, such as
	// "ssh-ed25519-cert-v01@openssh.com AAAA...". Key exchanges use it in addition to the
	// plain key, and only between its validAfter and its validBefore.
	Certificate string `json:"certificate,omitempty"`
}

// Announced reports whether keys in this state are announced to clients.
func (k HostKey) Announced() bool { return k.State != HostKeyStaged }

func validateHostKeys(keys []HostKey) error {
	active := 0
	for _, k := range keys {
		switch k.State {
		case HostKeyActive:
			active++
		case HostKeyStaged, HostKeyAdvertised, HostKeyRetiring:
		default:
			return fmt.Errorf("%s: state %q of a host key is not known", k.Name, k.State)
		}
	}
	switch {
	case len(keys) == 0:
		return errors.New("hostKeys must not be empty")
	case len(keys) > MaxHostKeys:
		return fmt.Errorf("hostKeys must have at most %d entries", MaxHostKeys)
	case active == 0:
		return errors.New("one of hostKeys must be active, that is, have no state: it signs key exchanges")
	}
	return nil
}
