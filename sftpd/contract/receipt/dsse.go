package receipt

import (
	"bytes"
	"crypto/ed25519"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"

	"golang.org/x/crypto/ssh"
)

// Envelope is a DSSE envelope (https://github.com/secure-systems-lab/dsse, v1.0.2) of a receipt. With SSHSig, it is a line
// of a file of receipts. DSSE verifiers ignore that field.
type Envelope struct {
	PayloadType string `json:"payloadType"`
	// Payload is the receipt's bytes, in base64 in JSON.
	Payload    []byte      `json:"payload"`
	Signatures []Signature `json:"signatures"`
	// SSHSig is the armored SSH signature of the payload. Events do not have it.
	SSHSig string `json:"sshsig,omitempty"`
}

// Signature is a signature of an envelope.
type Signature struct {
	// KeyID is the fingerprint of the key.
	KeyID string `json:"keyid,omitempty"`
	Sig   []byte `json:"sig"`
}

// Limits of an envelope.
const (
	maxSignatures = 8
	maxEnvelope   = 2*MaxSize + maxSSHSig
)

// pae returns DSSE's pre-authentication encoding.
func pae(payloadType string, payload []byte) []byte {
	b := []byte("DSSEv1 ")
	b = append(strconv.AppendInt(b, int64(len(payloadType)), 10), ' ')
	b = append(append(b, payloadType...), ' ')
	b = append(strconv.AppendInt(b, int64(len(payload)), 10), ' ')
	return append(b, payload...)
}

// Sign returns a receipt's envelope with both signatures. raw is what Encode returned.
func (s *Signer) Sign(raw []byte) *Envelope {
	return &Envelope{
		PayloadType: PayloadType, Payload: raw, SSHSig: string(s.SignSSH(raw)),
		Signatures: []Signature{{KeyID: s.fingerprint, Sig: ed25519.Sign(s.key, pae(PayloadType, raw))}},
	}
}

// Encode returns the envelope as a line of JSON, without a newline.
func (e *Envelope) Encode() ([]byte, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(e); err != nil {
		return nil, fmt.Errorf("encode envelope: %w", err)
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), nil
}

// Plain returns the envelope without the SSH signature, as events carry it.
func (e *Envelope) Plain() *Envelope {
	plain := *e
	plain.SSHSig = ""
	return &plain
}

// DecodeEnvelope parses an envelope of a receipt. It verifies nothing.
func DecodeEnvelope(data []byte) (*Envelope, error) {
	e := new(Envelope)
	switch {
	case len(data) > maxEnvelope:
		return nil, fmt.Errorf("an envelope of a receipt must not have more than %d bytes", maxEnvelope)
	case json.Unmarshal(data, e) != nil:
		return nil, errors.New("not a DSSE envelope")
	case e.PayloadType != PayloadType:
		return nil, errors.New("the envelope has no receipt: its payloadType is not " + PayloadType)
	case len(e.Signatures) > maxSignatures:
		return nil, fmt.Errorf("an envelope must not have more than %d signatures", maxSignatures)
	}
	return e, nil
}

// Verify returns an error unless a key has signed the envelope: with the DSSE signature and, if the envelope has one, with the
// SSH signature.
func (e *Envelope) Verify(key ssh.PublicKey) error {
	public, err := Public(key)
	if err != nil {
		return err
	}
	data := pae(e.PayloadType, e.Payload)
	signed := false
	for _, s := range e.Signatures { // the key's ID is a hint only
		signed = signed || len(s.Sig) == ed25519.SignatureSize && ed25519.Verify(public, data, s.Sig)
	}
	if !signed {
		return ErrSignature
	}
	if e.SSHSig == "" {
		return nil
	}
	made, err := VerifySSH(e.Payload, []byte(e.SSHSig))
	if err == nil && !bytes.Equal(made.Marshal(), key.Marshal()) {
		err = ErrSignature
	}
	return err
}
