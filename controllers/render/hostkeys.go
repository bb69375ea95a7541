package render

import (
	"crypto/sha256"
	"encoding/hex"
	"strconv"
	"strings"

	"golang.org/x/crypto/ssh"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/sftp-operator/sftp-operator/api/v1alpha1"
	"github.com/sftp-operator/sftp-operator/sftpd/contract/config"
)

// PrivateHostKey is a host key as pods get it.
type PrivateHostKey struct {
	// Private is the file with the private key.
	Private []byte
	State   v1alpha1.HostKeyState
	// Certificate is a line with a host certificate, "" for none.
	Certificate string
}

// StateInConfig returns a state in the form of the daemon's configuration.
func StateInConfig(s v1alpha1.HostKeyState) string {
	switch s {
	case v1alpha1.HostKeyStaged:
		return config.HostKeyStaged
	case v1alpha1.HostKeyAdvertised:
		return config.HostKeyAdvertised
	case v1alpha1.HostKeyRetiring:
		return config.HostKeyRetiring
	case v1alpha1.HostKeyActive:
	}
	return config.HostKeyActive
}

// PrivateKeys returns the files of host keys, in their order.
func PrivateKeys(keys []PrivateHostKey) [][]byte {
	out := make([][]byte, 0, len(keys))
	for i := range keys {
		out = append(out, keys[i].Private)
	}
	return out
}

// KnownHostsEntry is the entry of the ConfigMap with the lines for known_hosts.
const KnownHostsEntry = "known_hosts"

// AllowedSignersEntry is the entry with the lines for verifying receipts.
const AllowedSignersEntry = "allowed_signers"

// KnownHostsMap returns the ConfigMap with lines for known_hosts, for clients in the cluster, and with lines for verifying
// receipts, if there are any.
func KnownHostsMap(l *v1alpha1.SFTPListener, lines, signers []string) *corev1.ConfigMap {
	out := &corev1.ConfigMap{
		TypeMeta:   metav1.TypeMeta{APIVersion: "v1", Kind: "ConfigMap"},
		ObjectMeta: plainMeta(l, KnownHostsName(l)),
		Data:       map[string]string{},
	}
	for entry, lines := range map[string][]string{KnownHostsEntry: lines, AllowedSignersEntry: signers} {
		if len(lines) > 0 {
			out.Data[entry] = strings.Join(lines, "\n") + "\n"
		}
	}
	return out
}

// sshfpAlgorithms are the numbers of key types in SSHFP records (RFC 4255 section 3.1.1, RFC
// 6594 section 5, RFC 7479 section 2).
var sshfpAlgorithms = map[string]int{
	ssh.KeyAlgoRSA:      1,
	ssh.KeyAlgoECDSA256: 3, ssh.KeyAlgoECDSA384: 3, ssh.KeyAlgoECDSA521: 3,
	ssh.KeyAlgoED25519: 4,
}

// sshfpSHA256 is the number of SHA-256 in SSHFP records (RFC 6594 section 5.2).
const sshfpSHA256 = 2

// SSHFP returns the data of SSHFP records for host keys that clients encounter or that are announced to them.
func SSHFP(keys []v1alpha1.HostKeyStatus) []string {
	var out []string
	for i := range keys {
		k := &keys[i]
		pub, _, _, _, err := ssh.ParseAuthorizedKey([]byte(k.PublicKey))
		if err != nil || k.State == v1alpha1.HostKeyStaged || sshfpAlgorithms[pub.Type()] == 0 {
			continue
		}
		sum := sha256.Sum256(pub.Marshal())
		out = append(out, strings.Join([]string{
			strconv.Itoa(sshfpAlgorithms[pub.Type()]), strconv.Itoa(sshfpSHA256), hex.EncodeToString(sum[:]),
		}, " "))
	}
	return out
}
