package offline

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"golang.org/x/crypto/ssh"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/sftp-operator/sftp-operator/api/v1alpha1"
	"github.com/sftp-operator/sftp-operator/controllers/hostkey"
	"github.com/sftp-operator/sftp-operator/controllers/key"
	"github.com/sftp-operator/sftp-operator/controllers/render"
	"github.com/sftp-operator/sftp-operator/sftpd/contract/publickey"
)

// hostKeys returns the host keys of a new listener: from the Secrets in the manifests or,
// where the operator would generate a key, from the previous run or newly generated.
func (m *Manifests) hostKeys(
	l *v1alpha1.SFTPListener, prev Previous, policy render.Policy, now time.Time,
) ([]render.PrivateHostKey, []Finding, error) {
	keys, finding := m.wantedHostKeys(l)
	if finding != nil {
		return nil, []Finding{*finding}, nil
	}
	materials, finding, err := m.materials(keys, previousKeys(prev))
	if finding != nil || err != nil {
		return nil, listOf(finding), err
	}
	object := "SFTPListener " + client.ObjectKeyFromObject(l).String()
	var wanted []hostkey.Key
	var findings []Finding
	rendered := map[string]render.PrivateHostKey{}
	for i, k := range keys {
		m := materials[i]
		if err := policy.CheckHostKey(m.Public); err != nil {
			return nil, []Finding{{
				Object: object, Reason: v1alpha1.ReasonInvalidHostKey, Message: fmt.Sprintf("SFTPKey %q: %v", k.Name, err),
			}}, nil
		}
		certificate, err := key.HostCertificateUnder(m, policy.Policies())
		if err != nil {
			findings = append(findings, Finding{
				Object: object, Reason: v1alpha1.ReasonInvalidHostCertificate,
				Message: fmt.Sprintf("SFTPKey %q works without its host certificate: %v", k.Name, err),
			})
		}
		r := render.PrivateHostKey{Private: m.Private}
		if certificate != nil {
			r.Certificate = strings.TrimSpace(string(ssh.MarshalAuthorizedKey(certificate)))
		}
		rendered[m.Fingerprint()] = r
		wanted = append(wanted, hostkey.Key{Name: k.Name, Fingerprint: m.Fingerprint(), Type: m.Public.Type(), Overlap: key.Overlap(k)})
	}
	var out []render.PrivateHostKey
	for _, held := range hostkey.Decide(hostkey.Input{Now: now, Wanted: wanted}).Keys {
		r := rendered[held.Fingerprint]
		r.State = held.State
		out = append(out, r)
	}
	return out, findings, nil
}

func listOf(f *Finding) []Finding {
	if f == nil {
		return nil
	}
	return []Finding{*f}
}

// wantedHostKeys returns the SFTPKeys that a listener names, or those that the operator creates.
func (m *Manifests) wantedHostKeys(l *v1alpha1.SFTPListener) ([]*v1alpha1.SFTPKey, *Finding) {
	object := "SFTPListener " + client.ObjectKeyFromObject(l).String()
	var keys []*v1alpha1.SFTPKey
	for _, ref := range l.Spec.HostKeyRefs {
		k, ok := m.Keys[types.NamespacedName{Namespace: l.Namespace, Name: ref.Name}]
		switch {
		case !ok:
			return nil, &Finding{
				Object: object, Reason: v1alpha1.ReasonHostKeyNotFound, Missing: true,
				Message: fmt.Sprintf("SFTPKey %q does not exist in namespace %q; create it or correct spec.hostKeyRefs", ref.Name, l.Namespace),
			}
		case k.Spec.Usage != v1alpha1.KeyUsageHost:
			return nil, &Finding{
				Object: object, Reason: v1alpha1.ReasonInvalidHostKey,
				Message: fmt.Sprintf("SFTPKey %q has usage %s; a host key needs usage Host", ref.Name, k.Spec.Usage),
			}
		}
		keys = append(keys, k)
	}
	if len(keys) > 0 {
		return keys, nil
	}
	keys = render.HostKeys(l, nil)
	for i := range keys {
		if k, ok := m.Keys[client.ObjectKeyFromObject(keys[i])]; ok {
			keys[i] = k
		}
	}
	return keys, nil
}

// materials returns the key pairs. Generated ones are reused from former ones of their type, in
// order, or newly generated.
func (m *Manifests) materials(keys []*v1alpha1.SFTPKey, former []key.Material) ([]key.Material, *Finding, error) {
	out := make([]key.Material, len(keys))
	var generate []int
	for i, k := range keys {
		v := key.Decide(k, m.Secrets[types.NamespacedName{Namespace: k.Namespace, Name: key.SecretName(k)}])
		switch {
		case v.Generate:
			generate = append(generate, i)
			continue
		case v.Material.Private == nil:
			return nil, &Finding{
				Object: "SFTPKey " + client.ObjectKeyFromObject(k).String(), Reason: v.Condition.Reason, Message: v.Condition.Message,
				Missing: v.Condition.Reason == v1alpha1.ReasonSecretNotFound,
			}, nil
		}
		out[i] = v.Material
		former = slices.DeleteFunc(former, func(f key.Material) bool { return f.Fingerprint() == v.Material.Fingerprint() })
	}
	for _, i := range generate {
		algorithm := keys[i].Spec.Algorithm
		if at := slices.IndexFunc(former, func(m key.Material) bool { return isOf(m, algorithm) }); at >= 0 {
			out[i] = former[at]
			former = slices.Delete(former, at, at+1)
			continue
		}
		var err error
		if out[i], err = key.Generate(algorithm, keys[i].Namespace+"/"+keys[i].Name); err != nil {
			return nil, nil, err
		}
	}
	return out, nil, nil
}

// isOf reports whether a key is of the type that is generated for an algorithm.
func isOf(m key.Material, algorithm v1alpha1.KeyAlgorithm) bool {
	kind, bits := m.Public.Type(), publickey.Size(m.Public)
	switch algorithm {
	case v1alpha1.KeyECDSAP256:
		return kind == ssh.KeyAlgoECDSA256
	case v1alpha1.KeyRSA3072:
		return kind == ssh.KeyAlgoRSA && bits == 3072
	case v1alpha1.KeyRSA4096:
		return kind == ssh.KeyAlgoRSA && bits == 4096
	default:
		return kind == ssh.KeyAlgoED25519
	}
}

// previousKeys returns the keys of an earlier run that can still be read.
func previousKeys(prev Previous) (out []key.Material) {
	for _, data := range prev.HostKeys {
		if m, err := key.Parse(map[string][]byte{key.PrivateEntry: data}, v1alpha1.KeyUsageHost); err == nil {
			out = append(out, m)
		}
	}
	return out
}
