package access

import (
	"cmp"
	"strings"
	"unsafe"

	"github.com/sftp-operator/sftp-operator/controllers/attach"
	"github.com/sftp-operator/sftp-operator/controllers/compile"
	"github.com/sftp-operator/sftp-operator/controllers/credentials"
)

// share returns users as pointers, and for those of whom nothing has changed the previous ones: then nothing has to be looked at
// again. Both lists are sorted by namespace and name.
func share(previous []*compile.User, users []compile.User) []*compile.User {
	out := make([]*compile.User, len(users))
	i := 0
	for j := range users {
		for i < len(previous) && order(previous[i].Decision, users[j].Decision) < 0 {
			i++
		}
		if i < len(previous) && unchanged(previous[i], &users[j]) {
			out[j] = previous[i]
			continue
		}
		u := users[j]
		out[j] = &u
	}
	return out
}

func order(a, b attach.Decision) int {
	return cmp.Or(strings.Compare(a.User.Namespace, b.User.Namespace), strings.Compare(a.User.Name, b.User.Name))
}

// unchanged reports whether two users are equal. The compiler returns the same memory for what it did not compile again.
func unchanged(a, b *compile.User) bool {
	sameError := a.Err == b.Err //nolint:errorlint // the same error, not one of its kind
	return sameError && a.Decision == b.Decision && a.Digest == b.Digest && a.Overflow == b.Overflow && a.GrowthRefused == b.GrowthRefused &&
		sameCredentials(&a.Credentials, &b.Credentials)
}

func sameCredentials(a, b *credentials.Credentials) bool {
	return a.Password == b.Password && a.TOTP == b.TOTP && a.Certificates == b.Certificates &&
		identical(a.Keys, b.Keys) && identical(a.Inventory, b.Inventory) && identical(a.Methods, b.Methods) &&
		identical(a.Problems, b.Problems) && identical(a.Pending, b.Pending) && identical(a.Failures, b.Failures)
}

// identical reports whether two slices are the same memory, or both empty.
func identical[T any](a, b []T) bool {
	return len(a) == len(b) && (len(a) == 0 || unsafe.SliceData(a) == unsafe.SliceData(b)) //nolint:gosec // only compared
}
