package migrate

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/sftp-operator/sftp-operator/api/v1alpha1"
	"github.com/sftp-operator/sftp-operator/sftpd/contract/config"
)

// Limits of spec.authentication.authorizedKeys: a user with more or longer keys gets a Secret.
const (
	maxInlineKeys   = 32
	maxInlineLength = 4096
)

// maxName leaves room for the suffixes of Secrets within the 63 characters of a DNS label.
const maxName = 40

var (
	loginRE = regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9_.@+-]{0,63}$`) // that of spec.username
	nameRE  = regexp.MustCompile(`^[a-z0-9]([a-z0-9-]*[a-z0-9])?$`)      // a DNS label (RFC 1123 section 2.1)
	foreign = regexp.MustCompile(`[^a-z0-9]+`)
)

// Objects are the users and the Secrets that they refer to, in the order to apply them.
type Objects struct {
	Secrets []corev1.Secret
	Users   []v1alpha1.SFTPUser
}

// Finish returns the objects for everything that was read, and the report.
func (m *Migration) Finish() (Objects, Report) {
	var out Objects
	taken := map[string]bool{}
	// Names that need no change come first, so that no other gets them.
	logins := slices.SortedFunc(maps.Keys(m.accounts), func(a, b string) int {
		if na, nb := nameRE.MatchString(a), nameRE.MatchString(b); na != nb {
			if na {
				return -1
			}
			return 1
		}
		return strings.Compare(a, b)
	})
	for _, login := range logins {
		a := m.accounts[login]
		if a.ignore || !m.usable(a) {
			a.ignore = true
			continue
		}
		m.add(&out, a, m.nameFor(a, taken))
	}
	m.noticeIDs()
	m.noticeShared()
	m.report.Rejected, m.report.Notices = sorted(m.report.Rejected), sorted(m.report.Notices)
	slices.SortFunc(out.Users, func(a, b v1alpha1.SFTPUser) int { return strings.Compare(a.Name, b.Name) })
	slices.SortFunc(out.Secrets, func(a, b corev1.Secret) int { return strings.Compare(a.Name, b.Name) })
	return out, m.report
}

func (m *Migration) usable(a *account) bool {
	switch {
	case !loginRE.MatchString(a.login):
		m.reject(a.where, a.login, "the login name must start with a letter, digit or '_', contain only letters, digits and . _ @ + -, and have at most 64 characters")
	case a.password == "" && len(a.keys) == 0:
		m.reject(a.where, a.login, "the login is left out: no usable key and no usable password")
	default:
		return true
	}
	return false
}

// nameFor returns the object's name for a login name: itself if it can be one.
func (m *Migration) nameFor(a *account, taken map[string]bool) string {
	name := a.login
	if !nameRE.MatchString(name) || len(name) > maxName {
		name = strings.Trim(foreign.ReplaceAllString(strings.ToLower(name), "-"), "-")
		name = strings.Trim(name[:min(len(name), maxName)], "-")
	}
	if name == "" || taken[name] {
		// A hash of the login name, so that a second import gives the same name.
		sum := sha256.Sum256([]byte(a.login))
		const bytes = 4
		name = strings.TrimPrefix(name+"-"+hex.EncodeToString(sum[:bytes]), "-")
	}
	if name != a.login {
		m.notice(a.where, a.login, fmt.Sprintf("the SFTPUser and the home directory are called %s: the login name cannot be an object's name, or another login has it", name))
	}
	taken[name] = true
	return name
}

func (m *Migration) add(out *Objects, a *account, name string) {
	u := v1alpha1.SFTPUser{
		TypeMeta:   metav1.TypeMeta{APIVersion: v1alpha1.GroupVersion.String(), Kind: "SFTPUser"},
		ObjectMeta: metav1.ObjectMeta{Namespace: m.Namespace, Name: name},
		Spec:       v1alpha1.SFTPUserSpec{ListenerRef: v1alpha1.ListenerReference{Name: m.Listener, Namespace: m.ListenerNamespace}},
	}
	if name != a.login {
		u.Spec.Username = a.login
	}
	if a.password != "" {
		m.report.Passwords++
		ref := &v1alpha1.PasswordSecretReference{Name: name + "-password"}
		s := m.secret(ref.Name, corev1.SecretTypeBasicAuth, corev1.BasicAuthPasswordKey, a.password)
		if a.hashed {
			ref.Key, ref.Format = "passwordHash", v1alpha1.PasswordHash
			s = m.secret(ref.Name, corev1.SecretTypeOpaque, ref.Key, a.password)
		}
		out.Secrets = append(out.Secrets, s)
		u.Spec.Authentication.PasswordSecretRef = ref
	}
	if len(a.keys) > config.MaxKeysPerUser {
		m.reject(a.where, a.login, fmt.Sprintf("%d keys are too many: the first %d are imported", len(a.keys), config.MaxKeysPerUser))
		a.keys = a.keys[:config.MaxKeysPerUser]
	}
	m.report.Keys += len(a.keys)
	long := slices.ContainsFunc(a.keys, func(k string) bool { return len(k) > maxInlineLength })
	switch {
	case len(a.keys) == 0:
	case long || len(a.keys) > maxInlineKeys:
		s := m.secret(name+"-keys", corev1.SecretTypeOpaque, "authorized_keys", strings.Join(a.keys, "\n")+"\n")
		out.Secrets = append(out.Secrets, s)
		u.Spec.Authentication.AuthorizedKeysSecretRefs = []v1alpha1.AuthorizedKeysSecretReference{{Name: s.Name}}
	default:
		u.Spec.Authentication.AuthorizedKeys = a.keys
	}
	for _, dir := range a.dirs {
		u.Spec.Mounts = append(u.Spec.Mounts, v1alpha1.Mount{Path: "/" + dir, Directory: v1alpha1.Directory{SubPath: dir}})
	}
	m.report.Users++
	out.Users = append(out.Users, u)
}

func (m *Migration) secret(name string, kind corev1.SecretType, key, value string) corev1.Secret {
	return corev1.Secret{
		TypeMeta:   metav1.TypeMeta{APIVersion: "v1", Kind: "Secret"},
		ObjectMeta: metav1.ObjectMeta{Namespace: m.Namespace, Name: name},
		Type:       kind,
		Data:       map[string][]byte{key: []byte(value)},
	}
}
