package feed

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/sftp-operator/sftp-operator/api/v1alpha1"
	"github.com/sftp-operator/sftp-operator/controllers/key"
)

var publicKeys = []string{
	"ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGuGsnP/NPzhnWuATv9aP1dHraTqoi8dScAeUt23h1tL",
	"not a key",
}

// The keyring of a namespace contains its keys, and stays the same while nothing relevant to a login changes.
func TestKeys(t *testing.T) {
	for seed := range uint64(30) {
		random := rand.New(rand.NewPCG(seed, 2))
		table := Keys{Concerned: func(namespace string) []types.NamespacedName {
			return []types.NamespacedName{{Namespace: "of", Name: namespace}}
		}}
		m := map[types.NamespacedName]*v1alpha1.SFTPKey{}
		keyrings, changes, kept := map[string]*key.Keyring{}, 0, 0
		for n := range 150 {
			name := types.NamespacedName{Namespace: namespaces[random.IntN(3)], Name: fmt.Sprint("k", random.IntN(4))}
			var was, is client.Object
			if before := m[name]; before != nil {
				was = before
			}
			after := nextKey(random, m[name], name, n)
			if delete(m, name); after != nil {
				is, m[name] = after, after
			}
			if woken := table.Observe(was, is); !slices.Equal(woken, []types.NamespacedName{{Namespace: "of", Name: name.Namespace}}) {
				t.Fatalf("woken %v", woken)
			}
			if random.IntN(3) == 0 {
				continue // it is not read after each change
			}
			for _, namespace := range namespaces {
				got, want := table.Keyring(namespace), keyringOf(m, namespace)
				if got.Stamp() != want.Stamp() || (got == nil) != (want == nil) {
					t.Fatalf("seed %d, step %d: the keyring of %s is not that of its keys", seed, n, namespace)
				}
				if same := keyrings[namespace].Stamp() == got.Stamp(); same != (keyrings[namespace] == got) {
					t.Fatalf("seed %d, step %d: the keys of %s are the same: %v", seed, n, namespace, same)
				} else if same {
					kept++
				} else {
					changes++
				}
				keyrings[namespace] = got
			}
		}
		if changes == 0 || kept == 0 {
			t.Errorf("seed %d: %d changes, %d times the same", seed, changes, kept)
		}
		for _, k := range m {
			table.Observe(k, nil)
		}
		for _, namespace := range namespaces {
			if r := table.Keyring(namespace); r != nil {
				t.Errorf("seed %d: a keyring without keys", seed)
			}
		}
		if len(table.byNamespace)+len(table.keyrings)+len(table.previous) > 0 {
			t.Errorf("seed %d: something is left: %v, %v, %v", seed, table.byNamespace, table.keyrings, table.previous)
		}
	}
}

// nextKey returns another version of a key, nil if it is deleted.
func nextKey(random *rand.Rand, before *v1alpha1.SFTPKey, name types.NamespacedName, n int) *v1alpha1.SFTPKey {
	if before == nil {
		before = &v1alpha1.SFTPKey{
			ObjectMeta: metav1.ObjectMeta{Namespace: name.Namespace, Name: name.Name, UID: types.UID(strconv.Itoa(n)), CreationTimestamp: metav1.NewTime(time.Unix(int64(n), 0))},
			Spec:       v1alpha1.SFTPKeySpec{Usage: v1alpha1.KeyUsageClient, Source: v1alpha1.KeyPublicKey, PublicKey: publicKeys[0]},
		}
	} else if random.IntN(5) == 0 {
		return nil
	}
	after := before.DeepCopy()
	after.ResourceVersion = strconv.Itoa(n)
	switch random.IntN(5) {
	case 0:
		after.Spec.UserRef = &v1alpha1.LocalUserReference{Name: fmt.Sprint("u", random.IntN(3))}
	case 1:
		after.Spec.PublicKey = publicKeys[random.IntN(2)]
	case 2:
		after.DeletionTimestamp = new(metav1.Now())
	case 3:
		after.Labels = map[string]string{"n": strconv.Itoa(n)}
	default:
		after.Status.ObservedGeneration = int64(n)
	}
	return after
}

func keyringOf(m map[types.NamespacedName]*v1alpha1.SFTPKey, namespace string) *key.Keyring {
	var keys []v1alpha1.SFTPKey
	for name, k := range m {
		if name.Namespace == namespace {
			keys = append(keys, *k.DeepCopy())
		}
	}
	if len(keys) == 0 {
		return nil
	}
	return key.NewKeyring(keys)
}
