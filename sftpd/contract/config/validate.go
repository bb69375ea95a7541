package config

import (
	"errors"
	"fmt"
	"path"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/sftp-operator/sftp-operator/sftpd/contract/cryptopolicy"
	"github.com/sftp-operator/sftp-operator/sftpd/contract/factor"
	"github.com/sftp-operator/sftp-operator/sftpd/contract/networks"
)

// Limits on the keys in a user's record. Records of a listener's users share files, so a record that grows takes room from the
// others: 64 Ed25519 keys take 6 KiB, and 22 RSA keys of 4096 bits 16 KiB.
const (
	MaxKeysPerUser = 64
	// MaxKeySizePerUser limits the sum of Key.Size, in bytes.
	MaxKeySizePerUser = 16 << 10
)

// Limits that apply to every configuration.
const (
	maxUsernameLength = 256
	maxMountsPerUser  = 32
	maxPathLength     = 4096
)

var (
	usernameRE = regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9_.@+-]*$`)
	sha256RE   = regexp.MustCompile(`^[0-9a-f]{64}$`)
	// bannerRE excludes characters that a terminal would interpret as commands, or that change the display order.
	bannerRE = regexp.MustCompile(`^([\t\n]|[^\p{C}\p{Zl}\p{Zp}])*$`)
	// softwareVersionRE is printable US-ASCII except space and '-' (RFC 4253 section 4.2).
	softwareVersionRE = regexp.MustCompile(`^[\x21-\x2c\x2e-\x7e]{1,64}$`)
	fileNameRE        = regexp.MustCompile(`^[a-z0-9][a-z0-9.-]*$`)
)

// Volume returns the volume with a name.
func (l Listener) Volume(name string) (Volume, bool) {
	for _, v := range l.Volumes {
		if v.Name == name {
			return v, true
		}
	}
	return Volume{}, false
}

// Validate returns the first error that makes the settings unusable.
func (l Listener) Validate() error {
	switch {
	case l.Version != Version:
		return fmt.Errorf("version must be %d", Version)
	case l.CryptoPolicy == "":
		return errors.New("cryptoPolicy must be set")
	case len(l.Authentication.Methods) == 0:
		return errors.New("authentication.methods must not be empty")
	case l.Authentication.MaxTries < 1:
		return errors.New("authentication.maxTries must be at least 1")
	case l.Authentication.LoginGraceSeconds < 1:
		return errors.New("authentication.loginGraceSeconds must be at least 1")
	case len(l.Authentication.Banner) > maxBanner || !bannerRE.MatchString(l.Authentication.Banner):
		return fmt.Errorf("authentication.banner must be at most %d bytes without control or formatting characters other than newline and tab", maxBanner)
	case l.Limits.MaxConnections < 1 || l.Limits.MaxConnectionsPerUser < 1 || l.Limits.IdleTimeoutSeconds < 1:
		return errors.New("every limit must be at least 1")
	case l.Shutdown.ReadinessDelaySeconds < 0 || l.Shutdown.DrainTimeoutSeconds < 0:
		return errors.New("shutdown times must not be negative")
	case len(l.Volumes) == 0:
		return errors.New("volumes must not be empty")
	case l.SoftwareVersion != "" && !softwareVersionRE.MatchString(l.SoftwareVersion):
		return errors.New("softwareVersion must be 1 to 64 printable characters without '-' and blanks (RFC 4253 section 4.2)")
	}
	return errors.Join(
		l.validateLists(), validateHostKeys(l.HostKeys), l.ProxyProtocol.validate(), validateNetworks("allowFrom", l.AllowFrom),
		l.validateException(), l.Startups.validate(), l.Sources.validate(), l.Uploads.validate(), l.Revoked.validate(),
		validateRefused(l.RefusedUsers), l.Tracing.validate(), l.validateEvents(), l.validateReceipts(), l.validateRetention())
}

// validateException refuses an exception policy without its restrictions, as the API's rules do, because a listener.json may
// come from elsewhere. A policy that this release does not know is refused where it is looked up.
func (l Listener) validateException() error {
	if policy, err := cryptopolicy.Lookup(l.CryptoPolicy); err == nil && policy.Exception {
		return l.validateBounds()
	}
	return nil
}

func (l Listener) validateBounds() error {
	networks, err := networks.Parse(l.AllowFrom)
	switch {
	case err != nil:
		return fmt.Errorf("allowFrom: %w", err)
	case l.CryptoPolicyNotAfter == nil || l.CryptoPolicyNotAfter.IsZero():
		return fmt.Errorf("cryptoPolicy %s requires cryptoPolicyNotAfter", l.CryptoPolicy)
	case networks.Empty():
		return fmt.Errorf("cryptoPolicy %s requires named networks: allowFrom must not be empty", l.CryptoPolicy)
	case networks.Unbounded():
		return fmt.Errorf("cryptoPolicy %s requires named networks: allowFrom must not contain a network with the prefix length 0", l.CryptoPolicy)
	}
	return nil
}

func (l Listener) validateLists() error {
	for _, m := range l.Authentication.Methods {
		if m != MethodPublicKey && m != MethodPassword {
			return fmt.Errorf("authentication method %q is not known", m)
		}
	}
	if name := l.Authentication.SharedCodes; name != "" {
		if _, ok := l.Volume(name); !ok {
			return fmt.Errorf("authentication.sharedCodes: there is no volume %q", name)
		}
	}
	if err := validateVolumes(l.Volumes); err != nil {
		return err
	}
	for _, f := range l.files() {
		if !fileNameRE.MatchString(f.Name) {
			return fmt.Errorf("%q is not a file name of a configuration", f.Name)
		}
		if !sha256RE.MatchString(f.SHA256) {
			return fmt.Errorf("%s: sha256 must be 64 hexadecimal digits", f.Name)
		}
	}
	return nil
}

// validateVolumes refuses a volume inside another one: a user of the outer one could reach the content of the inner one,
// whatever its access there. Links and mounts with that effect are found when a user's directories are opened.
func validateVolumes(volumes []Volume) error {
	for i, v := range volumes {
		if v.Name == "" || v.Path == "" {
			return errors.New("a volume must have a name and a path")
		}
		for j, outer := range volumes {
			inner, out := path.Clean(v.Path), strings.TrimSuffix(path.Clean(outer.Path), "/")
			switch {
			case i == j:
			case inner == path.Clean(outer.Path):
				return fmt.Errorf("volumes %q and %q have the same path %s; make them one volume, and separate their directories by subPath", outer.Name, v.Name, inner)
			case strings.HasPrefix(inner, out+"/"):
				return fmt.Errorf("volume %q (%s) is inside volume %q (%s); put them side by side, or make them one volume with subPaths", v.Name, inner, outer.Name, outer.Path)
			}
		}
	}
	return nil
}

// files returns all files that the settings refer to.
func (l Listener) files() []File {
	out := slices.Clone(l.Shards)
	for _, k := range l.HostKeys {
		out = append(out, k.File)
	}
	if l.Events.On() {
		out = append(out, l.Events.Key)
	}
	if l.Receipts.On() {
		out = append(out, l.Receipts.Key)
	}
	return out
}

// Validate returns the first error that makes a user's record unusable. Keys, secrets and password hashes are checked where
// they are parsed.
func (u User) Validate() error {
	switch {
	case len(u.Username) > maxUsernameLength || !usernameRE.MatchString(u.Username):
		return fmt.Errorf("login name %q is not valid", u.Username)
	case u.UID == "" || u.Namespace == "" || u.Name == "":
		return errors.New("uid, namespace and name must be set")
	case u.MaxConnections < 0:
		return errors.New("maxConnections must not be negative")
	case u.MaxNamespaceConnections < 0:
		return errors.New("maxNamespaceConnections must not be negative")
	}
	if err := u.validateCredentials(); err != nil {
		return err
	}
	if err := validateNetworks("allowFrom", u.AllowFrom); err != nil {
		return err
	}
	if err := validateEventSinks(u.EventSinks); err != nil {
		return err
	}
	return validateMounts(u.Mounts)
}

func (u User) validateCredentials() error {
	methods, err := factor.ParseSet(u.Methods)
	switch {
	case err != nil:
		return fmt.Errorf("methods: %w", err)
	case methods.Count(factor.Password) > 0 && u.Password == nil:
		return fmt.Errorf("methods include %s, but there is no password", factor.Password)
	case methods.Count(factor.TOTP) > 0 && u.TOTP == nil:
		return fmt.Errorf("methods include %s, but there is no totp", factor.TOTP)
	case len(u.Keys) < methods.Count(factor.PublicKey) && !u.Certificates:
		return fmt.Errorf("methods include %s %d times, but there are %d keys and no certificates",
			factor.PublicKey, methods.Count(factor.PublicKey), len(u.Keys))
	case len(u.Keys) > MaxKeysPerUser:
		return fmt.Errorf("more than %d keys", MaxKeysPerUser)
	case u.Password != nil && u.Password.Hash == "":
		return errors.New("password.hash must be set")
	}
	size := 0
	for _, k := range u.Keys {
		if err := k.validate(); err != nil {
			return err
		}
		size += k.Size()
	}
	if size > MaxKeySizePerUser {
		return fmt.Errorf("the keys have more than %d bytes in total", MaxKeySizePerUser)
	}
	return nil
}

// Size returns the key's share of MaxKeySizePerUser: its line and its networks.
func (k Key) Size() int {
	n := len(k.PublicKey)
	for _, from := range k.From {
		n += len(from)
	}
	return n
}

func (k Key) validate() error {
	if k.NotBefore != nil && k.NotAfter != nil && !k.NotBefore.Before(*k.NotAfter) {
		return errors.New("notBefore of a key must be before its notAfter")
	}
	return validateNetworks("from", k.From)
}

func validateMounts(mounts []Mount) error {
	if len(mounts) > maxMountsPerUser {
		return fmt.Errorf("more than %d mounts", maxMountsPerUser)
	}
	seen := map[string]bool{}
	for _, m := range mounts {
		switch {
		case !cleanPath(m.Path) || !path.IsAbs(m.Path):
			return fmt.Errorf("mount path %q must be absolute and clean", m.Path)
		case seen[m.Path]:
			return fmt.Errorf("mount path %q is a duplicate", m.Path)
		case m.Volume == "":
			return fmt.Errorf("mount %q must name a volume", m.Path)
		case m.SubPath != "" && (!cleanPath(m.SubPath) || path.IsAbs(m.SubPath) || escapes(m.SubPath)):
			return fmt.Errorf("sub-path %q of mount %q must be relative and clean", m.SubPath, m.Path)
		case !slices.Contains([]string{ReadWrite, ReadOnly, WriteOnly, CreateOnly}, m.Access):
			return fmt.Errorf("access %q of mount %q is not known", m.Access, m.Path)
		case m.ListNames && m.Access != WriteOnly && m.Access != CreateOnly:
			return fmt.Errorf("listNames of mount %q requires the access WriteOnly or CreateOnly", m.Path)
		}
		seen[m.Path] = true
	}
	if !seen["/"] {
		return errors.New(`no mount has the path "/"`)
	}
	return nil
}

func cleanPath(p string) bool {
	return p != "" && len(p) <= maxPathLength && utf8.ValidString(p) && !strings.ContainsRune(p, 0) && path.Clean(p) == p
}

func escapes(p string) bool { return p == "." || p == ".." || strings.HasPrefix(p, "../") }
