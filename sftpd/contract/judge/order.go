package judge

import (
	"slices"

	"github.com/sftp-operator/sftp-operator/sftpd/contract/factor"
	"github.com/sftp-operator/sftp-operator/sftpd/event"
)

// Order returns why a step of a login cannot follow the completed ones, "" if it can.
func Order(methods factor.Set, done []factor.Step, step factor.Step) event.Reason {
	switch {
	case slices.Contains(methods.Next(done), step):
		return ""
	case len(done) > 0:
		// A client is offered only what comes next.
		return event.ChangedDuringLogin
	case step == factor.Password:
		return event.KeyRequiredFirst
	}
	return event.PasswordRequiredFirst
}
