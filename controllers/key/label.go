package key

import (
	"crypto/sha256"
	"encoding/hex"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/validation"

	"github.com/sftp-operator/sftp-operator/api/v1alpha1"
)

// hashDigits is how much of a hash is in a label, 128 bits: collisions cannot be found.
const hashDigits = 32

// labelOf returns the value of v1alpha1.LabelKey for an SFTPKey. A name that is too long for a label is cut and
// followed by its hash. Object names cannot contain the '_' in between, so no other SFTPKey can have the label as its
// name and thereby gain access to the Secrets.
func labelOf(name string) string {
	if len(name) <= validation.LabelValueMaxLength {
		return name
	}
	sum := sha256.Sum256([]byte(name))
	return name[:validation.LabelValueMaxLength-hashDigits-1] + "_" + hex.EncodeToString(sum[:])[:hashDigits]
}

// madeFor reports whether a Secret was created for an SFTPKey.
func madeFor(o metav1.Object, k *v1alpha1.SFTPKey) bool {
	return o.GetLabels()[v1alpha1.LabelKey] == labelOf(k.Name)
}
