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

// Username returns the login name in effect.
func Username(l *v1alpha1.SFTPListener, u *v1alpha1.SFTPUser) string {
	name := u.Spec.Username
	if name == "" {
		name = u.Name
	}
	switch l.Spec.AllowedUsers.Usernames {
	case v1alpha1.UsernamesAny:
		return name
	case v1alpha1.UsernamesNamespacePrefixed:
	default:
		if u.Namespace == l.Namespace {
			return name
		}
	}
	return u.Namespace + "." + name
}

func checkUsername(name string) string {
	switch {
	case len(name) > maxUsernameLength:
		return fmt.Sprintf("The login name has %d characters, but at most %d are allowed; set a shorter spec.username", len(name), maxUsernameLength)
	case !usernameRE.MatchString(name):
		return fmt.Sprintf("The login name %q must start with a letter, digit or '_' and contain only letters, digits and . _ @ + -; set spec.username", name)
	}
	return ""
}

// VolumeOf returns the name of the volume that holds a directory.
func VolumeOf(l *v1alpha1.SFTPListener, d v1alpha1.Directory) string {
	if d.Volume != "" {
		return d.Volume
	}
	return HomeVolume(l)
}

// ClaimName returns the name of the claim of a volume with a claimTemplate.
func ClaimName(l *v1alpha1.SFTPListener, volume string) string { return l.Name + "-" + volume }

// SubPathOf returns a directory's path on its volume, built from object names, never from
// the login name, so it needs no escaping and survives changes to login names.
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

// directory is one of a user's directories, with the field that asks for it.
type directory struct {
	field string
	v1alpha1.Directory
}

func directories(u *v1alpha1.SFTPUser) []directory {
	out := []directory{{"spec.homeDirectory", u.Spec.HomeDirectory}}
	for _, m := range u.Spec.Mounts {
		out = append(out, directory{fmt.Sprintf("spec.mounts[%s]", m.Path), m.Directory})
	}
	return out
}

func checkDirectories(l *v1alpha1.SFTPListener, u *v1alpha1.SFTPUser) (reason, message string) {
	all := directories(u)
	for _, d := range all {
		volume := VolumeOf(l, d.Directory)
		known := slices.ContainsFunc(l.Spec.Volumes, func(v v1alpha1.ListenerVolume) bool { return v.Name == volume })
		switch {
		case volume == "" && l.Status.HomeVolume != nil:
			return v1alpha1.ReasonVolumeNotFound, fmt.Sprintf(
				"The home directories of SFTPListener %q are on volume %q, which its spec no longer has; the condition Accepted of the listener says how to get them back", l.Name, l.Status.HomeVolume.Name)
		case !known:
			return v1alpha1.ReasonVolumeNotFound, fmt.Sprintf("%s.volume is %q, but the listener's volumes are: %s; correct the name, or ask the listener's owner", d.field, volume, volumeNames(l))
		}
	}
	return checkOverlap(l, u, all)
}

// checkOverlap finds two directories with different access where one contains the other: a
// link in the outer one would reach what the inner one protects, for example read what was
// put into a WriteOnly directory.
func checkOverlap(l *v1alpha1.SFTPListener, u *v1alpha1.SFTPUser, all []directory) (reason, message string) {
	for i, inner := range all {
		for j, outer := range all {
			if i == j || storage(l, inner.Directory) != storage(l, outer.Directory) || opens(inner.Directory) == opens(outer.Directory) {
				continue
			}
			if in, out := SubPathOf(u, inner.Directory), SubPathOf(u, outer.Directory); contains(out, in) {
				return v1alpha1.ReasonDirectoriesOverlap, fmt.Sprintf(
					"%s (%s, %s) is inside %s (%s, %s); give them the same access, or put the directories side by side, for example homeDirectory.subPath: home and subPath: inbox for the mount",
					inner.field, in, opens(inner.Directory), outer.field, display(out), opens(outer.Directory))
			}
		}
	}
	return "", ""
}

// storage identifies the files of a directory's volume: two volumes may have the same claim.
func storage(l *v1alpha1.SFTPListener, d v1alpha1.Directory) string {
	name := VolumeOf(l, d)
	for _, v := range l.Spec.Volumes {
		switch {
		case v.Name != name:
		case v.PersistentVolumeClaim != nil:
			return "claim " + v.PersistentVolumeClaim.ClaimName
		case v.ClaimTemplate != nil:
			return "claim " + ClaimName(l, name)
		}
	}
	return name
}

// contains reports whether path is outer or below it; both are relative and clean.
func contains(outer, path string) bool {
	return outer == "" || path == outer || strings.HasPrefix(path, outer+"/")
}

func display(subPath string) string {
	if subPath == "" {
		return "the whole volume"
	}
	return subPath
}

// AccessOf returns the access of a directory.
func AccessOf(d v1alpha1.Directory) v1alpha1.Access {
	if d.Access == "" {
		return v1alpha1.AccessReadWrite
	}
	return d.Access
}

// opens describes what a directory allows its user: two directories that differ in it must
// not contain each other.
func opens(d v1alpha1.Directory) string {
	if ListsNames(d) {
		return string(AccessOf(d)) + " with listing " + string(v1alpha1.ListingNames)
	}
	return string(AccessOf(d))
}

// ListsNames reports whether a directory that cannot be read may be listed.
func ListsNames(d v1alpha1.Directory) bool {
	a := AccessOf(d)
	return (a == v1alpha1.AccessWriteOnly || a == v1alpha1.AccessCreateOnly) && d.Listing == v1alpha1.ListingNames
}

func volumeNames(l *v1alpha1.SFTPListener) string {
	names := make([]string, 0, len(l.Spec.Volumes))
	for _, v := range l.Spec.Volumes {
		names = append(names, v.Name)
	}
	return strings.Join(names, ", ")
}
