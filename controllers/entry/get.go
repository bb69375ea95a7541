package entry

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"errors"
	"fmt"
	"net"
	"runtime/debug"
	"slices"
	"strings"
	"unicode"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	ctrllog "sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/sftp-operator/sftp-operator/controllers/credentials"
	"github.com/sftp-operator/sftp-operator/sftpd/contract/config"
)

// get reads a Secret, nil if there is none.
func (r *Reader) get(ctx context.Context, ref credentials.Ref) (*corev1.Secret, error) {
	ctx, cancel := context.WithTimeout(ctx, readTimeout)
	defer cancel()
	s := &corev1.Secret{}
	err := r.Live.Get(ctx, types.NamespacedName{Namespace: ref.Namespace, Name: ref.Secret}, s)
	if apierrors.IsNotFound(err) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return s, nil
}

// only returns a Secret with one entry, and otherwise only what identifies its version.
func only(s *corev1.Secret, entry string) *corev1.Secret {
	return &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{UID: s.UID, ResourceVersion: s.ResourceVersion},
		Data:       map[string][]byte{entry: s.Data[entry]},
	}
}

// candidates returns the passwords that the entry of a Secret had before the operator started.
func (r *Reader) candidates(s *corev1.Secret, ref credentials.Ref) []*config.Password {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.seeds.of(string(s.UID), ref.Entry))
}

func (r *Reader) mac(data []byte) []byte {
	h := hmac.New(sha256.New, r.macKey[:])
	h.Write(data)
	return h.Sum(nil)
}

// errPanic is the error for an entry whose content makes a parser panic.
var errPanic = errors.New("panic")

// guard calls a function and turns a panic into an error. The panic's value is not logged,
// because it may quote what was read.
func guard(ctx context.Context, read func() (credentials.Entry, error)) (e credentials.Entry, err error) {
	defer func() {
		if p := recover(); p != nil {
			ctrllog.FromContext(ctx).Error(errPanic, "Reading an entry of a Secret", "type", fmt.Sprintf("%T", p), "stack", string(debug.Stack()))
			e, err = credentials.Entry{}, errPanic
		}
	}()
	return read()
}

// maxFailure bounds the text of a failure, in bytes.
const maxFailure = 256

// failureText returns why a read failed. Only errors that the API server returned are quoted: a decoder's error might quote
// the Secret.
func failureText(err error) string {
	var status apierrors.APIStatus
	var network net.Error
	switch {
	case errors.As(err, &status):
		return bounded(status.Status().Message)
	case errors.Is(err, context.DeadlineExceeded):
		return "the API server did not answer in time"
	case errors.Is(err, errPanic):
		return "an internal error; the operator's log has the details"
	case errors.As(err, &network):
		return "the API server cannot be reached"
	default:
		return "the answer of the API server cannot be used"
	}
}

func bounded(text string) string {
	text = strings.Map(func(c rune) rune {
		if !unicode.IsPrint(c) {
			return ' '
		}
		return c
	}, text)
	if len(text) > maxFailure {
		text = strings.ToValidUTF8(text[:maxFailure], "") + "..."
	}
	return text
}
