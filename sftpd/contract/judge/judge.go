// Package judge decides whether a credential is accepted, or why it is refused. The daemon decides with it, and kubectl sftp
// why explains with it, so that both make the same checks in the same order.
//
// It is pure. Each question about a credential has an Answer, which the daemon always knows; a reader of objects that cannot
// see everything may have to use Unknown, and then the Decision lists the reasons that remain open.
package judge

import "github.com/sftp-operator/sftp-operator/sftpd/event"

// Answer is the answer to whether a reason to refuse a credential applies.
type Answer uint8

// The answers. The zero value means that the reason does not apply.
const (
	No Answer = iota
	Yes
	Unknown
)

// If returns Yes or No.
func If(holds bool) Answer {
	if holds {
		return Yes
	}
	return No
}

// Decision is the outcome for a credential.
type Decision struct {
	// Reason with which it is refused, "" if no reason is known.
	Reason event.Reason
	// Open are reasons that may or may not apply, in the order in which they are checked. If there is a Reason, they are those
	// that come before it, and the audit log may have one of them instead.
	Open []event.Reason
}

// Accepted reports whether the credential is certain to be accepted.
func (d Decision) Accepted() bool { return d.Reason == "" && len(d.Open) == 0 }

// check is one reason to refuse a credential.
type check struct {
	reason event.Reason
	holds  Answer
}

// first returns the first reason that applies.
func first(checks []check) (d Decision) {
	for _, c := range checks {
		switch c.holds {
		case Yes:
			d.Reason = c.reason
			return d
		case Unknown:
			d.Open = append(d.Open, c.reason)
		case No:
		}
	}
	return d
}

// flaw is a check whose reason is known only when it applies.
func flaw(reason event.Reason) check { return check{reason, If(reason != "")} }

// Key is the data against which a public key that a client offers or proves is checked.
type Key struct {
	MethodNotOffered, LoginPenalized, KeyRevoked Answer
	// Certificate is what is wrong with the key's certificate, whichever login name it is for; "" if nothing is, or there is
	// none.
	Certificate             event.Reason
	UnknownUser             Answer
	CertificatesNotAccepted Answer
	KeyNotRegistered        Answer
	KeyTooShort             Answer
	// SourceNotAllowed depends on the networks of the key or of the user.
	SourceNotAllowed        Answer
	UserExpired             Answer
	KeyUsedBefore           Answer
	KeyExpired, KeyNotBegun Answer
	// Order is why a key cannot be used at this step, "" if it can.
	Order event.Reason
}

// Decide returns the first reason to refuse the key.
func (k Key) Decide() Decision {
	return first([]check{
		{event.MethodNotOffered, k.MethodNotOffered},
		{event.LoginPenalized, k.LoginPenalized},
		{event.KeyRevoked, k.KeyRevoked},
		flaw(k.Certificate),
		{event.UnknownUser, k.UnknownUser},
		{event.CertificatesNotAccepted, k.CertificatesNotAccepted},
		{event.KeyNotRegistered, k.KeyNotRegistered},
		{event.KeyTooShort, k.KeyTooShort},
		{event.SourceNotAllowed, k.SourceNotAllowed},
		{event.UserExpired, k.UserExpired},
		{event.KeyUsedBefore, k.KeyUsedBefore},
		{event.KeyExpired, k.KeyExpired},
		{event.KeyNotYetValid, k.KeyNotBegun},
		flaw(k.Order),
	})
}

// Password is the data against which a password is checked.
type Password struct {
	// QueueFull means that it could not be verified in time.
	QueueFull, LoginPenalized, MethodNotOffered, UnknownUser, SourceNotAllowed, UserExpired, NoPassword Answer
	// Order is why a password cannot be used at this step, "" if it can.
	Order event.Reason
	Wrong Answer
}

// Decide returns the first reason to refuse the password. The order does not reflect what the daemon does first: it verifies
// the password before everything else, so that the time reveals nothing about the user.
func (p Password) Decide() Decision {
	return first([]check{
		{event.PasswordQueueFull, p.QueueFull},
		{event.LoginPenalized, p.LoginPenalized},
		{event.MethodNotOffered, p.MethodNotOffered},
		{event.UnknownUser, p.UnknownUser},
		{event.SourceNotAllowed, p.SourceNotAllowed},
		{event.UserExpired, p.UserExpired},
		{event.NoPassword, p.NoPassword},
		flaw(p.Order),
		{event.WrongPassword, p.Wrong},
	})
}

// Code is the data against which the code of an authenticator app is checked before it is compared.
type Code struct {
	LoginPenalized, UserChanged, SourceNotAllowed, UserExpired Answer
	// Order is why a code cannot be used at this step, "" if it can.
	Order event.Reason
}

// Decide returns the first reason to refuse the code.
func (c Code) Decide() Decision {
	return first([]check{
		{event.LoginPenalized, c.LoginPenalized},
		{event.ChangedDuringLogin, c.UserChanged},
		{event.SourceNotAllowed, c.SourceNotAllowed},
		{event.UserExpired, c.UserExpired},
		flaw(c.Order),
	})
}

// Connection is the data against which a connection is checked because of its source address.
type Connection struct{ SourceNotAllowed, SourcePenalized Answer }

// Decide returns the first reason to refuse the connection.
func (c Connection) Decide() Decision {
	return first([]check{
		{event.SourceNotAllowed, c.SourceNotAllowed},
		{event.SourcePenalized, c.SourcePenalized},
	})
}
