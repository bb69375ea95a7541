package key

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"sync"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/sftp-operator/sftp-operator/api/v1alpha1"
	"github.com/sftp-operator/sftp-operator/controllers/conditions"
	"github.com/sftp-operator/sftp-operator/sftpd/contract/publickey"
)

// Client is an SFTPKey that users log in with.
type Client struct {
	publickey.Key
	// Name of the SFTPKey.
	Name string
	// User is the SFTPUser of its userRef, "" for none.
	User string
	// NotBefore and NotAfter bound its validity, nil for no bound.
	NotBefore, NotAfter *metav1.Time
	// Retiring are the pairs of former revisions, with when they end.
	Retiring []Retiring
	// Problem is why it cannot be used and what to do, "" if it can, and Reason is that of
	// the users' conditions.
	Problem, Reason string

	created            metav1.Time
	fingerprint, stamp string
}

// Retiring is a pair of a former revision that works until its end.
type Retiring struct {
	publickey.Key
	NotAfter *metav1.Time
}

// Keyring holds the SFTPKeys of one namespace that users may log in with. A nil Keyring is empty.
type Keyring struct {
	byUser map[string][]*Client
	// owners are the assigned keys, by fingerprint.
	owners map[string]*Client
	stamp  string
}

// NewKeyring returns a keyring of a namespace's SFTPKeys. Those being deleted count as deleted.
func NewKeyring(keys []v1alpha1.SFTPKey) *Keyring { return newKeyring(keys, clientOf) }

// Keyrings creates keyrings, and parses each version of an SFTPKey only once.
type Keyrings struct {
	mu sync.Mutex
	// parsed has Clients by namespace and UID; mu protects it. A Client never changes.
	parsed map[string]map[types.UID]parsed
}

type parsed struct {
	version string
	client  *Client
}

// Keyring returns the keyring of a namespace.
func (c *Keyrings) Keyring(namespace string, keys []v1alpha1.SFTPKey) *Keyring {
	c.mu.Lock()
	before := c.parsed[namespace]
	c.mu.Unlock()
	next := make(map[types.UID]parsed, len(keys))
	r := newKeyring(keys, func(k *v1alpha1.SFTPKey) *Client {
		p := before[k.UID]
		if p.client == nil || p.version != k.ResourceVersion {
			p = parsed{version: k.ResourceVersion, client: clientOf(k)}
		}
		next[k.UID] = p
		return p.client
	})
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.parsed == nil {
		c.parsed = map[string]map[types.UID]parsed{}
	}
	if c.parsed[namespace] = next; len(next) == 0 {
		delete(c.parsed, namespace)
	}
	return r
}

func newKeyring(keys []v1alpha1.SFTPKey, client func(*v1alpha1.SFTPKey) *Client) *Keyring {
	r := &Keyring{byUser: map[string][]*Client{}, owners: map[string]*Client{}}
	all := make([]*Client, 0, len(keys))
	for i := range keys {
		if keys[i].DeletionTimestamp.IsZero() {
			all = append(all, client(&keys[i]))
		}
	}
	// If two assign the same key, the older one counts.
	slices.SortFunc(all, func(a, b *Client) int {
		return cmp.Or(a.created.Compare(b.created.Time), strings.Compare(a.Name, b.Name))
	})
	for _, c := range all {
		if c.User == "" {
			continue
		}
		r.byUser[c.User] = append(r.byUser[c.User], c)
		if c.Problem != "" {
			continue
		}
		r.own(c.fingerprint, c)
		for _, old := range c.Retiring {
			r.own(old.Fingerprint(), c)
		}
	}
	r.stamp = stampOf(all)
	return r
}

func (r *Keyring) own(fingerprint string, c *Client) {
	if r.owners[fingerprint] == nil {
		r.owners[fingerprint] = c
	}
}

// Of returns the keys assigned to a user, oldest first.
func (r *Keyring) Of(user string) []*Client {
	if r == nil {
		return nil
	}
	return r.byUser[user]
}

// Owner returns the SFTPKey that assigns a key to a user, nil if there is none.
func (r *Keyring) Owner(fingerprint string) *Client {
	if r == nil {
		return nil
	}
	return r.owners[fingerprint]
}

// Stamp returns a value that is equal for keyrings with equal keys.
func (r *Keyring) Stamp() string {
	if r == nil {
		return ""
	}
	return r.stamp
}

func clientOf(k *v1alpha1.SFTPKey) *Client {
	c := parse(k)
	c.stamp = fmt.Sprintf("%q %q %v %v %q", c.Name, c.User, c.NotBefore, c.NotAfter, c.Problem)
	if c.Problem != "" {
		return c
	}
	c.fingerprint = c.Key.Fingerprint()
	c.stamp += fmt.Sprintf(" %q %q %v", c.Line(), c.Comment, c.From)
	for _, old := range c.Retiring {
		c.stamp += fmt.Sprintf(" %q %v", old.Line(), old.NotAfter)
	}
	return c
}

func parse(k *v1alpha1.SFTPKey) *Client {
	c := &Client{Name: k.Name, NotBefore: k.Spec.NotBefore, NotAfter: k.Spec.ExpirationTime, created: k.CreationTimestamp}
	if k.Spec.UserRef != nil {
		c.User = k.Spec.UserRef.Name
	}
	c.Reason = v1alpha1.ReasonInvalidPublicKey
	if k.Spec.Usage != v1alpha1.KeyUsageClient {
		c.Problem = fmt.Sprintf("SFTPKey %q has usage %s; users need a key of usage Client", k.Name, k.Spec.Usage)
		return c
	}
	line := k.Spec.PublicKey
	if k.Spec.Source != v1alpha1.KeyPublicKey {
		line = k.Status.PublicKey
		if line == "" || !hasMaterial(k) {
			c.Reason = v1alpha1.ReasonKeyNotFound
			c.Problem = fmt.Sprintf("SFTPKey %q is not ready; kubectl describe sftpkey %s says why", k.Name, k.Name)
			return c
		}
	}
	var err error
	if c.Key, err = publickey.ParseLine(line); err != nil {
		c.Problem = fmt.Sprintf("SFTPKey %q: %v", k.Name, err)
		return c
	}
	for _, n := range k.Spec.From {
		p, err := netip.ParsePrefix(n)
		if err != nil {
			c.Problem = fmt.Sprintf("SFTPKey %q: from: %q is not a network in CIDR notation", k.Name, n)
			return c
		}
		c.From = append(c.From, p.Masked())
	}
	c.Reason = ""
	for _, old := range k.Status.Retiring {
		parsed, err := publickey.ParseLine(old.PublicKey)
		if err != nil || old.EndTime == nil {
			continue // the API's validation prevents this
		}
		parsed.From = c.From
		c.Retiring = append(c.Retiring, Retiring{Key: parsed, NotAfter: earlier(old.EndTime, c.NotAfter)})
	}
	return c
}

func earlier(end, other *metav1.Time) *metav1.Time {
	if other != nil && other.Before(end) {
		return other
	}
	return end
}

// hasMaterial reports whether a key's Secret was usable when last checked. That includes a
// key that is not valid yet: the daemons check the validity period.
func hasMaterial(k *v1alpha1.SFTPKey) bool {
	if conditions.IsTrue(k.Status.Conditions, v1alpha1.ConditionReady) {
		return true
	}
	c := conditions.Summary(k.Status.Conditions)
	return c != nil && slices.Contains([]string{
		v1alpha1.ReasonKeyExpired, v1alpha1.ReasonKeyNotYetValid, v1alpha1.ReasonUserNotFound,
		v1alpha1.ReasonDuplicateKey, v1alpha1.ReasonWeakKey, v1alpha1.ReasonKeyRevoked,
	}, c.Reason)
}

func stampOf(all []*Client) string {
	h := sha256.New()
	for _, c := range all {
		fmt.Fprintln(h, c.stamp)
	}
	return hex.EncodeToString(h.Sum(nil))
}
