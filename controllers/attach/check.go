package attach

import (
	"fmt"
	"path"
	"regexp"
	"slices"
	"strings"

	"github.com/sftp-operator/sftp-operator/api/v1alpha1"
)

// maxUsernameLength bounds a login name with its namespace prefix.
const maxUsernameLength = 128

var usernameRE = regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9_.@+-]*$`)

// Username is the login name in effect.
func Username(l *v1alpha1.SFTPListener, u *v1alpha1.SFTPUser) string {
	name := u.Spec.Username
	if name == "" {
		name = u.Name
	}
	if l.Spec.AllowedUsers.Usernames == v1alpha1.UsernamesNamespacePrefixed {
		return u.Namespace + "." + name
	}
	return name
}

func checkUsername(name string) string {
	switch {
	case len(name) > maxUsernameLength:
		return fmt.Sprintf("The login name has %d characters, at most %d are allowed; set a shorter spec.username", len(name), maxUsernameLength)
	case !usernameRE.MatchString(name):
		return fmt.Sprintf("The login name %q must start with a letter, digit or '_' and contain only letters, digits and . _ @ + -; set spec.username", name)
	}
	return ""
}

// methods are the ways to log in that a user asks for.
func methods(u *v1alpha1.SFTPUser) []v1alpha1.AuthMethod {
	a := u.Spec.Authentication
	var out []v1alpha1.AuthMethod
	if len(a.AuthorizedKeys)+len(a.AuthorizedKeysSecretRefs)+len(a.KeyRefs) > 0 {
		out = append(out, v1alpha1.AuthPublicKey)
	}
	if a.PasswordSecretRef != nil {
		out = append(out, v1alpha1.AuthPassword)
	}
	return out
}

// AllowedMethods of a listener; both when it does not say.
func AllowedMethods(l *v1alpha1.SFTPListener) []v1alpha1.AuthMethod {
	if len(l.Spec.Authentication.AllowedMethods) == 0 {
		return []v1alpha1.AuthMethod{v1alpha1.AuthPublicKey, v1alpha1.AuthPassword}
	}
	return l.Spec.Authentication.AllowedMethods
}

func checkMethods(l *v1alpha1.SFTPListener, u *v1alpha1.SFTPUser) string {
	allowed := AllowedMethods(l)
	for _, m := range methods(u) {
		if !slices.Contains(allowed, m) {
			return fmt.Sprintf("The listener does not allow the method %s; remove it from spec.authentication or ask the listener's owner", m)
		}
	}
	return ""
}

// HomeVolume is the name of the volume that holds home directories.
func HomeVolume(l *v1alpha1.SFTPListener) string {
	if v := l.Spec.HomeDirectory.Volume; v != "" {
		return v
	}
	if len(l.Spec.Volumes) == 0 {
		return ""
	}
	return l.Spec.Volumes[0].Name
}

// VolumeOf is the name of the volume that holds a directory.
func VolumeOf(l *v1alpha1.SFTPListener, d v1alpha1.Directory) string {
	if d.Volume != "" {
		return d.Volume
	}
	return HomeVolume(l)
}

// SubPathOf is a directory's path on its volume, made from object names, never from the
// login name: so it needs no escaping and survives a change of login names.
func SubPathOf(u *v1alpha1.SFTPUser, d v1alpha1.Directory) string {
	switch d.Scope {
	case v1alpha1.ScopeVolume:
		return d.SubPath
	case v1alpha1.ScopeNamespace:
		return path.Join(u.Namespace, d.SubPath)
	default:
		return path.Join(u.Namespace, u.Name, d.SubPath)
	}
}

func checkDirectories(l *v1alpha1.SFTPListener, u *v1alpha1.SFTPUser) (reason, message string) {
	check := func(field string, d v1alpha1.Directory) (string, string) {
		volume := VolumeOf(l, d)
		known := slices.ContainsFunc(l.Spec.Volumes, func(v v1alpha1.ListenerVolume) bool { return v.Name == volume })
		switch {
		case !known:
			return v1alpha1.ReasonVolumeNotFound, fmt.Sprintf("%s.volume is %q, but the listener's volumes are: %s", field, volume, volumeNames(l))
		case d.Scope == v1alpha1.ScopeVolume && u.Namespace != l.Namespace:
			return v1alpha1.ReasonDirectoryNotAllowed,
				fmt.Sprintf("%s.scope is Volume, which only users in the listener's own namespace may ask for; use User or Namespace", field)
		}
		return "", ""
	}
	if reason, message := check("spec.homeDirectory", u.Spec.HomeDirectory); reason != "" {
		return reason, message
	}
	for _, m := range u.Spec.Mounts {
		if reason, message := check(fmt.Sprintf("spec.mounts[%s]", m.Path), m.Directory); reason != "" {
			return reason, message
		}
	}
	return "", ""
}

func volumeNames(l *v1alpha1.SFTPListener) string {
	names := make([]string, 0, len(l.Spec.Volumes))
	for _, v := range l.Spec.Volumes {
		names = append(names, v.Name)
	}
	return strings.Join(names, ", ")
}
