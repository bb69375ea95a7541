package receiptkey

import (
	"slices"
	"strings"
	"time"

	"golang.org/x/crypto/ssh"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/sftp-operator/sftp-operator/api/v1alpha1"
	"github.com/sftp-operator/sftp-operator/sftpd/contract/receipt"
)

const (
	// Overlap is how long receipts signed with a key are valid after another key has replaced it: pods may still use it.
	Overlap = time.Hour
	// skew is how far the clocks of nodes may be off from the operator's.
	skew = 10 * time.Minute
	// MaxKeys is how many keys are remembered. The oldest are forgotten first.
	MaxKeys = 32
)

// Stored is the content of the Secret.
type Stored struct {
	// Private is the file with the private key, nil for none.
	Private []byte
	// Keys are the public halves of all keys, in the form of a status.
	Keys []v1alpha1.ReceiptKeyStatus
}

// Input is what is known about the keys of a listener.
type Input struct {
	// Wanted: the listener issues receipts.
	Wanted bool
	// Stored is the content of the Secret, nil if there is none.
	Stored *Stored
	// Reported are the keys in the status, in case the Secret was deleted.
	Reported []v1alpha1.ReceiptKeyStatus
	Now      time.Time
	// Generate makes a private key file.
	Generate func() ([]byte, error)
}

// Plan is what to do.
type Plan struct {
	// Write is the content that the Secret should have, nil if it has it or is not needed.
	Write *Stored
	// Private is the key to sign with, nil for none.
	Private []byte
	// Keys for the status.
	Keys []v1alpha1.ReceiptKeyStatus
	// Problem is why there is no key, "" if there is one or none is needed. It quotes nothing of the Secret.
	Problem string
}

// Decide plans what to do. A listener that wants receipts and has no key gets one. A key in the Secret that is not the
// current one replaces it. When receipts are turned off, the keys are still published, so that receipts that were issued can
// be verified.
func Decide(in Input) (Plan, error) {
	var stored Stored
	if in.Stored != nil {
		stored = *in.Stored
	}
	known := union(stored.Keys, in.Reported)
	if !in.Wanted {
		return Plan{Keys: known}, nil
	}
	private := stored.Private
	if len(private) == 0 {
		var err error
		if private, err = in.Generate(); err != nil {
			return Plan{}, err
		}
	}
	signer, err := receipt.ParseSigner(private)
	if err != nil {
		return Plan{Keys: known, Problem: err.Error()}, nil //nolint:nilerr // the listener's owner has to fix it
	}
	next := Stored{Private: private, Keys: current(known, signer, in.Now)}
	plan := Plan{Private: private, Keys: next.Keys}
	if in.Stored == nil || len(stored.Private) == 0 || !same(stored.Keys, next.Keys) {
		plan.Write = &next
	}
	return plan, nil
}

// union returns the keys of both lists, the newest first. If both have a key, the entry of the first list is used, because
// the Secret is written before the status.
func union(a, b []v1alpha1.ReceiptKeyStatus) []v1alpha1.ReceiptKeyStatus {
	var out []v1alpha1.ReceiptKeyStatus
	for _, k := range slices.Concat(a, b) {
		if !slices.ContainsFunc(out, func(o v1alpha1.ReceiptKeyStatus) bool { return o.Fingerprint == k.Fingerprint }) {
			out = append(out, k)
		}
	}
	slices.SortStableFunc(out, func(x, y v1alpha1.ReceiptKeyStatus) int { return start(y).Compare(start(x)) })
	return out[:min(len(out), MaxKeys)]
}

// start returns when a key came into use. Both the Secret and the status have it for each key.
func start(k v1alpha1.ReceiptKeyStatus) time.Time {
	if k.StartTime == nil {
		return time.Time{}
	}
	return k.StartTime.Time
}

// current returns the keys with the one that signs from now on, which has no end of validity; the others get one.
func current(known []v1alpha1.ReceiptKeyStatus, signer *receipt.Signer, now time.Time) []v1alpha1.ReceiptKeyStatus {
	at := metav1.NewTime(now.UTC().Truncate(time.Second))
	this := v1alpha1.ReceiptKeyStatus{
		Fingerprint: signer.Fingerprint(), PublicKey: strings.TrimSpace(string(ssh.MarshalAuthorizedKey(signer.PublicKey()))), StartTime: &at,
	}
	out := []v1alpha1.ReceiptKeyStatus{this}
	for i := range known {
		k := known[i]
		switch {
		case k.Fingerprint == this.Fingerprint:
			out[0].StartTime = k.StartTime // a key that returns has never been replaced
		case k.EndTime == nil:
			k.EndTime = new(metav1.NewTime(at.Add(Overlap)))
			out = append(out, k)
		default:
			out = append(out, k)
		}
	}
	return out[:min(len(out), MaxKeys)]
}

func same(a, b []v1alpha1.ReceiptKeyStatus) bool {
	return slices.EqualFunc(a, b, func(x, y v1alpha1.ReceiptKeyStatus) bool {
		return x.Fingerprint == y.Fingerprint && x.PublicKey == y.PublicKey && x.StartTime.Equal(y.StartTime) && x.EndTime.Equal(y.EndTime)
	})
}

// AllowedSigners returns lines for ssh-keygen -Y verify, one for each key. A key that cannot be parsed has none.
func AllowedSigners(l *v1alpha1.SFTPListener, keys []v1alpha1.ReceiptKeyStatus) []string {
	var out []string
	for i := range keys {
		key, _, _, _, err := ssh.ParseAuthorizedKey([]byte(keys[i].PublicKey))
		if err != nil {
			continue
		}
		s := receipt.AllowedSigner{Principal: l.Namespace + "/" + l.Name, Key: key, ValidAfter: start(keys[i]).Add(-skew)}
		if end := keys[i].EndTime; end != nil {
			s.ValidBefore = end.Add(skew)
		}
		out = append(out, strings.TrimSuffix(s.Line(), "\n"))
	}
	return out
}
