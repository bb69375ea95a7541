package auth

import (
	"fmt"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/sftp-operator/sftp-operator/sftpd/contract/factor"
	"github.com/sftp-operator/sftp-operator/sftpd/contract/judge"
	"github.com/sftp-operator/sftp-operator/sftpd/contract/totp"
	"github.com/sftp-operator/sftp-operator/sftpd/event"
	"github.com/sftp-operator/sftp-operator/sftpd/snapshot"
)

// steps returns the steps that were completed earlier.
func (l *Login) steps() []factor.Step {
	if l.done == nil {
		return nil
	}
	return l.done.Steps
}

// outOfOrder returns why a step of a user cannot be taken now, "" if it can.
func (l *Login) outOfOrder(u *snapshot.User, step factor.Step) event.Reason {
	if l.done != nil && l.done.UID != u.UID {
		return event.ChangedDuringLogin
	}
	return judge.Order(u.Methods, l.steps(), step)
}

// granted returns what a login has been granted for a user so far. All earlier steps are kept: if the user has changed in the
// meantime, Recheck detects it.
func (l *Login) granted(u *snapshot.User) *Grant {
	if l.done != nil {
		return l.done
	}
	return newGrant(u, l.source)
}

// proceed handles a step that succeeded: the login completes, or the possible next steps are offered (RFC 4252 section 5.1).
func (l *Login) proceed(u *snapshot.User, g *Grant) (*ssh.Permissions, error) {
	if u.Methods.Complete(g.Steps) {
		return permit(g), nil
	}
	l.done = g
	var next ssh.ServerAuthCallbacks
	for _, step := range u.Methods.Next(g.Steps) {
		switch step {
		case factor.PublicKey:
			next.PublicKeyCallback = l.publicKeyOffered
		case factor.Password:
			next.PasswordCallback = l.password
			if next.KeyboardInteractiveCallback == nil {
				next.KeyboardInteractiveCallback = l.keyboardInteractive
			}
		case factor.TOTP:
			// Codes need this method, but a password also has its own, so keyboard-interactive does not ask for a password.
			next.KeyboardInteractiveCallback = l.code
		}
	}
	return nil, &ssh.PartialSuccessError{Next: next}
}

// code asks for an app's code without echo, like Google's PAM module.
func (l *Login) code(conn ssh.ConnMetadata, ask ssh.KeyboardInteractiveChallenge) (*ssh.Permissions, error) {
	answers, err := ask("", "", []string{"Verification code: "}, []bool{false})
	if err != nil {
		return nil, err
	}
	u, reason, detail := l.checkCode(conn.User(), answers[0], time.Now())
	if reason != "" {
		l.refuse(conn, factor.TOTP, reason, detail)
		return nil, errRefused
	}
	g := l.granted(u).with(factor.TOTP)
	g.totp, g.Detail = u.TOTP, detail
	return l.proceed(u, g)
}

// checkCode is only called after another step has succeeded, so the user's existence need
// not be hidden. The detail may accompany a correct code.
func (l *Login) checkCode(username, given string, now time.Time) (u *snapshot.User, reason event.Reason, detail string) {
	s := l.auth.current()
	u, known := s.Lookup(username)
	j := judge.Code{LoginPenalized: judge.If(l.barred(username)), UserChanged: judge.If(!known)}
	if known {
		j.SourceNotAllowed, j.UserExpired = judge.If(!u.AllowFrom.Admits(l.source)), judge.If(u.Expired(now))
		j.Order = l.outOfOrder(u, factor.TOTP)
	}
	if reason := j.Decide().Reason; reason != "" {
		return nil, reason, ""
	}
	reason, offset := l.auth.codes.check(u.UID, u.TOTP, given, now)
	switch volume := s.CodesVolume(); {
	case reason == event.CodeClockSkew:
		detail = fmt.Sprintf("the code is %d steps of 30 seconds %s; compare the clocks of the phone and of the nodes", abs(offset), direction(offset))
	case reason == "" && volume != "":
		first, err := claimInTime(l.ctx, volume, u.UID, u.TOTP, totp.Step(now)+int64(offset))
		switch {
		case err != nil:
			// A volume that cannot be written must not lock out users who need to free space on it.
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
		return "behind"
	}
	return "ahead"
}
