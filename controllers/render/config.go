package render

import (
	"cmp"
	"fmt"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/sftp-operator/sftp-operator/api/v1alpha1"
	"github.com/sftp-operator/sftp-operator/controllers/attach"
	"github.com/sftp-operator/sftp-operator/controllers/credentials"
	"github.com/sftp-operator/sftp-operator/sftpd/contract/config"
)

// Tunables that a listener does not set. They are documented at the API's fields and may
// change with a release, unlike the defaults in the CRD.
const (
	defaultMaxAuthTries          = 6
	defaultLoginGraceSeconds     = 30
	defaultMaxConnections        = 500
	defaultMaxConnectionsPerUser = 10
	defaultIdleTimeoutSeconds    = 900
	defaultReadinessDelaySeconds = 5
	defaultDrainTimeoutSeconds   = 300
	defaultMinPasswordLength     = 8
)

// DataDir is the directory below which pods mount volumes.
const DataDir = "/data"

// Settings returns a listener's settings for listener.json. trust is the result for its CAs
// and revoked keys, and volumePath returns where a volume is mounted.
func Settings(l *v1alpha1.SFTPListener, trust Trust, volumePath func(name string) string) config.Listener {
	policy := cmp.Or(l.Spec.CryptoPolicy, v1alpha1.CryptoModern2026)
	out := config.Listener{
		Version:              config.Version,
		Namespace:            l.Namespace,
		Name:                 l.Name,
		CryptoPolicy:         string(policy),
		CryptoPolicyNotAfter: utc(l.Spec.CryptoPolicyExpirationTime),
		SoftwareVersion:      l.Spec.SoftwareVersion,
		AllowFrom:            l.Spec.AllowedCIDRs,
		ProxyProtocol:        proxyProtocol(l),
		Startups:             startups(l),
		Sources:              sources(l),
		Uploads:              uploads(l),
		Retention:            retention(l),
		Revoked:              trust.Revoked,
		Tracing:              tracing(l),
		Events:               eventSettings(l),
		Authentication: config.Authentication{
			MaxTries:          or(l.Spec.Authentication.MaxAuthTries, defaultMaxAuthTries),
			LoginGraceSeconds: or(l.Spec.Authentication.LoginGraceSeconds, defaultLoginGraceSeconds),
			TrustedUserCAs:    trust.UserCAs,
			Banner:            l.Spec.Authentication.Banner,
		},
		Limits: config.Limits{
			MaxConnections:        or(l.Spec.Limits.MaxConnections, defaultMaxConnections),
			MaxConnectionsPerUser: or(l.Spec.Limits.MaxConnectionsPerUser, defaultMaxConnectionsPerUser),
			IdleTimeoutSeconds:    or(l.Spec.Limits.IdleTimeoutSeconds, defaultIdleTimeoutSeconds),
		},
		Shutdown: config.Shutdown{
			ReadinessDelaySeconds: ReadinessDelaySeconds(l),
			DrainTimeoutSeconds:   DrainTimeoutSeconds(l),
		},
	}
	// With more than one pod, volumes are shared.
	if l.Spec.Replicas != nil && *l.Spec.Replicas > 1 {
		out.Authentication.SharedCodes = attach.HomeVolume(l)
	}
	for _, m := range attach.AllowedMethods(l) {
		out.Authentication.Methods = append(out.Authentication.Methods, string(m))
	}
	for _, v := range l.Spec.Volumes {
		out.Volumes = append(out.Volumes, config.Volume{
			Name: v.Name, Path: volumePath(v.Name), IgnoreAttributes: v.Attributes == v1alpha1.AttributesIgnore,
		})
	}
	return out
}

// PodVolumePath returns where a volume is mounted in a pod.
func PodVolumePath(name string) string { return DataDir + "/" + name }

// ReadinessDelaySeconds returns the readiness delay of a listener's pods.
func ReadinessDelaySeconds(l *v1alpha1.SFTPListener) int {
	return or(l.Spec.Shutdown.ReadinessDelaySeconds, defaultReadinessDelaySeconds)
}

// DrainTimeoutSeconds returns the drain timeout of a listener's pods.
func DrainTimeoutSeconds(l *v1alpha1.SFTPListener) int {
	return or(l.Spec.Shutdown.DrainTimeoutSeconds, defaultDrainTimeoutSeconds)
}

// MinPasswordLength returns the minimum length of clear-text passwords, in characters.
func MinPasswordLength(l *v1alpha1.SFTPListener) int {
	return or(l.Spec.Authentication.PasswordPolicy.MinLength, defaultMinPasswordLength)
}

// UserRecord returns the record of an accepted user, with the credentials that the listener's rules allow.
func UserRecord(l *v1alpha1.SFTPListener, d attach.Decision, c credentials.Credentials) config.User {
	u := d.User
	out := config.User{
		Username:  d.Username,
		UID:       string(u.UID),
		Namespace: u.Namespace,
		Name:      u.Name,
		Methods:   c.Methods.Strings(),
		Keys:      c.Keys,
		Password:  c.Password,
		TOTP:      c.TOTP,
		NotAfter:  utc(u.Spec.ExpirationTime),
		AllowFrom: u.Spec.AllowedCIDRs,
		Mounts:    []config.Mount{mount(l, u, "/", u.Spec.HomeDirectory)},

		Certificates: c.Certificates,
		EventSinks:   EventSinksOf(l, u),

		MaxNamespaceConnections: d.MaxNamespaceConnections,
	}
	if n := u.Spec.Limits.MaxConnections; n != nil {
		out.MaxConnections = int(*n)
	}
	for _, m := range u.Spec.Mounts {
		out.Mounts = append(out.Mounts, mount(l, u, m.Path, m.Directory))
	}
	return out
}

func mount(l *v1alpha1.SFTPListener, u *v1alpha1.SFTPUser, path string, d v1alpha1.Directory) config.Mount {
	return config.Mount{
		Path:    path,
		Volume:  attach.VolumeOf(l, d),
		SubPath: attach.SubPathOf(u, d),
		Access:  string(attach.AccessOf(d)),

		ListNames: attach.ListsNames(d),
	}
}

// Files is a daemon's configuration as files.
type Files struct {
	// Config holds listener.json and the host keys.
	Config map[string][]byte
	// Shards are the users' files, in order.
	Shards [][]byte
	// ShardDigests are the digests of Shards.
	ShardDigests []string
	// Digest of the whole, as /configz shows it.
	Digest string
}

// Compose returns the files to go with shards whose digests are known, and the digest of
// the whole. receiptKey is the key that signs receipts, nil to issue none.
func Compose(settings config.Listener, hostKeys []PrivateHostKey, receiptKey []byte, shards []string) (
	files map[string][]byte, digest string, err error,
) {
	settings.HostKeys = make([]config.HostKey, 0, len(hostKeys))
	for _, k := range hostKeys {
		settings.HostKeys = append(settings.HostKeys, config.HostKey{State: StateInConfig(k.State), Certificate: k.Certificate})
	}
	private := PrivateKeys(hostKeys)
	key := eventsKey(&settings, private)
	settings.Receipts = config.Receipts{}
	if receiptKey != nil {
		settings.Receipts.Key = config.File{Name: config.ReceiptKeyFile, SHA256: config.Digest(receiptKey)}
	}
	listener, err := config.ComposeListener(settings, private, shards)
	if err != nil {
		return nil, "", fmt.Errorf("render configuration: %w", err)
	}
	files = map[string][]byte{config.ListenerFile: listener}
	if key != nil {
		files[config.EventsKeyFile] = key
	}
	if receiptKey != nil {
		files[config.ReceiptKeyFile] = receiptKey
	}
	for i, k := range private {
		files[config.HostKeyFile(i)] = k
	}
	return files, config.Digest(listener), nil
}

func utc(t *metav1.Time) *time.Time {
	if t == nil {
		return nil
	}
	return new(t.UTC())
}

func or(value *int32, fallback int) int {
	if value == nil {
		return fallback
	}
	return int(*value)
}
