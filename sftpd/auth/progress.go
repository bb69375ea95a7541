package auth

import (
	"fmt"
	"slices"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/sftp-operator/sftp-operator/sftpd/contract/factor"
	"github.com/sftp-operator/sftp-operator/sftpd/contract/totp"
	"github.com/sftp-operator/sftp-operator/sftpd/event"
	"github.com/sftp-operator/sftp-operator/sftpd/snapshot"
)

// steps that were taken before.
func (l *Login) steps() []factor.Step {
	if l.done == nil {
		return nil
	}
	return l.done.steps
}

// outOfOrder says why a step of a user cannot come now, "" if it can.
func (l *Login) outOfOrder(u *snapshot.User, step factor.Step) event.Reason {
	switch {
	case l.done != nil && l.done.UID != u.UID:
		return event.ChangedDuringLogin
	case slices.Contains(u.Methods.Next(l.steps()), step):
		return ""
	case l.done != nil:
		// A client is offered nothing else than what comes next.
		return event.ChangedDuringLogin
	case step == factor.Password:
		return event.KeyRequiredFirst
	}
	return event.PasswordRequiredFirst
}

// granted is what a login has of a user so far. Everything of the steps before stays: if
// the user has changed meanwhile, Recheck finds out.
func (l *Login) granted(u *snapshot.User) *Grant {
	if l.done != nil {
		return l.done
	}
	return newGrant(u, l.source)
}

// proceed is what follows on a step that succeeded: the end, or an offer of the steps that
// can come next (RFC 4252 section 5.1).
func (l *Login) proceed(u *snapshot.User, g *Grant) (*ssh.Permissions, error) {
	if u.Methods.Complete(g.steps) {
		return permit(g), nil
	}
	l.done = g
	var next ssh.ServerAuthCallbacks
	for _, step := range u.Methods.Next(g.steps) {
		switch step {
		case factor.PublicKey:
			next.PublicKeyCallback = l.publicKeyOffered
		case factor.Password:
			next.PasswordCallback = l.password
			if next.KeyboardInteractiveCallback == nil {
				next.KeyboardInteractiveCallback = l.keyboardInteractive
			}
		case factor.TOTP:
			// A code has no other method. The password has, so it gives way.
			next.KeyboardInteractiveCallback = l.code
		}
	}
	return nil, &ssh.PartialSuccessError{Next: next}
}

// code asks for the code of an app, without an echo, as Google's PAM module does.
func (l *Login) code(conn ssh.ConnMetadata, ask ssh.KeyboardInteractiveChallenge) (*ssh.Permissions, error) {
	answers, err := ask("", "", []string{"Verification code: "}, []bool{false})
	if err != nil {
		return nil, err
	}
	u, reason, detail := l.checkCode(conn.User(), answers[0], time.Now())
	if reason != "" {
		l.refuse(conn, string(factor.TOTP), reason, detail)
		return nil, errRefused
	}
	g := l.granted(u).with(factor.TOTP, string(factor.TOTP))
	g.totp, g.Detail = u.TOTP, detail
	return l.proceed(u, g)
}

// checkCode is for who has passed another step, so there is nobody to hide a user from. The
// detail may come with a code that is right.
func (l *Login) checkCode(username, given string, now time.Time) (u *snapshot.User, reason event.Reason, detail string) {
	s := l.auth.current()
	u, known := s.Lookup(username)
	switch {
	case l.barred(username):
		return nil, event.LoginPenalised, ""
	case !known:
		return nil, event.ChangedDuringLogin, ""
	case !u.AllowFrom.Admits(l.source):
		return nil, event.SourceNotAllowed, ""
	case u.Expired(now):
		return nil, event.UserExpired, ""
	case l.outOfOrder(u, factor.TOTP) != "":
		return nil, l.outOfOrder(u, factor.TOTP), ""
	}
	reason, offset := l.auth.codes.check(u.UID, u.TOTP, given, now)
	switch volume := s.CodesVolume(); {
	case reason == event.CodeClockSkew:
		detail = fmt.Sprintf("the code is that of %d steps of 30 seconds %s; compare the clocks of the phone and of the nodes", abs(offset), direction(offset))
	case reason == "" && volume != "":
		first, err := claimInTime(l.ctx, volume, u.UID, u.TOTP, totp.Step(now)+int64(offset))
		switch {
		case err != nil:
			// A volume that cannot be written must not lock out who wants to make room on it.
			detail = fmt.Sprintf("other pods do not know that the code was used: %v", err)
		case !first:
			reason = event.CodeReused
		}
	}
	if reason == "" {
		l.auth.codes.settle(u.UID, u.TOTP)
	}
	return u, reason, detail
}

func abs(n int) int { return max(n, -n) }

func direction(offset int) string {
	if offset < 0 {
		return "ago"
	}
	return "ahead"
}
