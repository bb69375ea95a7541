package e2e

import (
	"fmt"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// A namespace with an idle listener is deleted within seconds: it does not wait for half of the grace period
// that its pods have for transfers, which is more than two minutes.
func TestNamespaceDeleted(t *testing.T) {
	ns := newNamespace(t, "ends", nil)
	l := newListener(t, ns, "partners", nil)
	k := newKey(t)
	newUser(t, l, ns, "acme", keyAuth(k))
	s := mustLogin(t, l, "acme", ssh.PublicKeys(k.signer))
	s.roundTrip(t, "kept", 1000)
	_ = s.conn.Close()

	must(t, kube.Delete(t.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: ns}}))
	took := eventually(t, 30*time.Second+30*slowness(), "the namespace is gone", func() bool {
		return apierrors.IsNotFound(kube.Get(t.Context(), client.ObjectKey{Name: ns}, &corev1.Namespace{}))
	})
	fmt.Printf("NAMESPACE with an idle listener deleted in %s\n", took.Round(time.Second))
	if took > 60*time.Second {
		t.Errorf("the namespace was deleted in %s", took)
	}
}
