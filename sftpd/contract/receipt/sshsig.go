package receipt

import (
	"bytes"
	"crypto/ed25519"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"encoding/pem"
	"errors"

	"golang.org/x/crypto/ssh"
)

const (
	sshsigMagic   = "SSHSIG"
	sshsigVersion = 1
	sshsigType    = "SSH SIGNATURE"
	hashSHA512    = "sha512"
	hashSHA256    = "sha256"
	// armorWidth is the length of lines that ssh-keygen writes.
	armorWidth = 70
	// maxSSHSig bounds an armored signature; one of an Ed25519 key has about 300 bytes.
	maxSSHSig = 4 << 10
)

// sshsigBlob is what follows the magic in a signature. The type's fields are in the order of PROTOCOL.sshsig.
type sshsigBlob struct {
	Version   uint32
	PublicKey []byte
	Namespace string
	Reserved  string
	Hash      string
	Signature []byte
}

// sshsigData is what follows the magic in the data that is signed.
type sshsigData struct {
	Namespace string
	Reserved  string
	Hash      string
	Sum       []byte
}

func (d sshsigData) bytes() []byte { return append([]byte(sshsigMagic), ssh.Marshal(d)...) }

// SignSSH returns the armored SSH signature of bytes, as ssh-keygen -Y sign creates it.
func (s *Signer) SignSSH(raw []byte) []byte {
	sum := sha512.Sum512(raw)
	signed := sshsigData{Namespace: Namespace, Hash: hashSHA512, Sum: sum[:]}
	blob := ssh.Marshal(sshsigBlob{
		Version: sshsigVersion, PublicKey: s.public.Marshal(), Namespace: Namespace, Hash: hashSHA512,
		Signature: ssh.Marshal(ssh.Signature{Format: ssh.KeyAlgoED25519, Blob: ed25519.Sign(s.key, signed.bytes())}),
	})
	return armor(append([]byte(sshsigMagic), blob...))
}

func armor(blob []byte) []byte {
	text := base64.StdEncoding.EncodeToString(blob)
	var b bytes.Buffer
	b.WriteString("-----BEGIN " + sshsigType + "-----\n")
	for len(text) > armorWidth {
		b.WriteString(text[:armorWidth] + "\n")
		text = text[armorWidth:]
	}
	b.WriteString(text + "\n-----END " + sshsigType + "-----\n")
	return b.Bytes()
}

// ErrSignature is returned for a signature that was not made by the key over the bytes, for receipts.
var ErrSignature = errors.New("the signature is wrong")

var errNotSSHSig = errors.New("not an SSH signature as ssh-keygen -Y sign makes it")

// VerifySSH verifies an armored SSH signature of bytes, and returns the key that made it. Whether that key may sign receipts is for the
// caller to decide.
func VerifySSH(raw, armored []byte) (ssh.PublicKey, error) {
	s, err := parseSSHSig(armored)
	if err != nil {
		return nil, err
	}
	if s.Namespace != Namespace {
		return nil, errors.New("the signature is for another purpose: its namespace is not " + Namespace)
	}
	key, err := ssh.ParsePublicKey(s.PublicKey)
	if err != nil {
		return nil, errNotSSHSig
	}
	public, err := Public(key)
	if err != nil {
		return nil, err
	}
	var sig ssh.Signature
	if ssh.Unmarshal(s.Signature, &sig) != nil || sig.Format != ssh.KeyAlgoED25519 || len(sig.Rest) > 0 {
		return nil, errNotSSHSig
	}
	signed := sshsigData{Namespace: s.Namespace, Reserved: s.Reserved, Hash: s.Hash}
	switch s.Hash {
	case hashSHA512:
		sum := sha512.Sum512(raw)
		signed.Sum = sum[:]
	case hashSHA256:
		sum := sha256.Sum256(raw)
		signed.Sum = sum[:]
	default:
		return nil, errNotSSHSig
	}
	if len(sig.Blob) != ed25519.SignatureSize || !ed25519.Verify(public, signed.bytes(), sig.Blob) {
		return nil, ErrSignature
	}
	return key, nil
}

func parseSSHSig(armored []byte) (*sshsigBlob, error) {
	// pem.Decode would skip text before the block.
	if len(armored) > maxSSHSig || !bytes.HasPrefix(armored, []byte("-----BEGIN ")) {
		return nil, errNotSSHSig
	}
	block, rest := pem.Decode(armored)
	if block == nil || block.Type != sshsigType || len(block.Headers) > 0 || len(bytes.TrimSpace(rest)) > 0 {
		return nil, errNotSSHSig
	}
	body, ok := bytes.CutPrefix(block.Bytes, []byte(sshsigMagic))
	s := new(sshsigBlob)
	if !ok || ssh.Unmarshal(body, s) != nil || s.Version != sshsigVersion {
		return nil, errNotSSHSig
	}
	return s, nil
}
