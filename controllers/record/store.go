package record

import (
	"context"
	"errors"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/sftp-operator/sftp-operator/api/v1alpha1"
	"github.com/sftp-operator/sftp-operator/controllers/keptsecret"
)

const (
	// SecretType is the type of the Secret, and Entry the entry with the record.
	SecretType = corev1.SecretType("sftp-operator.io/record")
	Entry      = "record.json"
)

// ErrForeign is returned if the Secret of a record does not belong to the listener.
var ErrForeign = errors.New("exists and is not a record of this listener; rename or delete it")

var kind = keptsecret.Kind{Type: SecretType, Label: v1alpha1.LabelRecord, Foreign: ErrForeign}

// SecretName returns the name of the Secret with the record of a listener.
func SecretName(listener string) string { return listener + "-sftp-record" }

// Read reads the record of a listener, zero if there is none. One that cannot be decoded counts as none, because nothing in it
// could be kept. The Secret is nil if there is none; an error is the API server's, or ErrForeign.
func Read(ctx context.Context, r client.Reader, namespace, listener string) (Record, *corev1.Secret, error) {
	s, err := kind.Read(ctx, r, namespace, SecretName(listener), listener)
	if err != nil || s == nil {
		return Record{}, nil, err
	}
	rec, err := Decode(s.Data[Entry])
	if err != nil {
		return Record{}, s, nil //nolint:nilerr // see above
	}
	return rec, s, nil
}

// Write replaces the record that was read from a Secret, or creates it. It fails with a conflict if the Secret has changed
// since, for example because of a restore from a backup.
func Write(ctx context.Context, c client.Client, l *v1alpha1.SFTPListener, rec Record, was *corev1.Secret) (*corev1.Secret, error) {
	data, err := rec.Encode()
	if err != nil {
		return nil, err
	}
	return kind.Write(ctx, c, l, SecretName(l.Name), map[string][]byte{Entry: data}, was)
}
