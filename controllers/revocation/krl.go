package revocation

import (
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"math"
	"unicode/utf8"

	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/ssh"

	"github.com/sftp-operator/sftp-operator/sftpd/contract/config"
)

// OpenSSH PROTOCOL.krl, sections 1 to 6. Everything that ssh-keygen -k writes is supported
// except SHA-1 fingerprints: keys are identified by SHA-256 here.
const (
	magic   = "SSHKRL\n\x00"
	version = 1

	sectionCertificates      = 1
	sectionExplicitKey       = 2
	sectionFingerprintSHA1   = 3
	sectionSignature         = 4
	sectionFingerprintSHA256 = 5
	sectionExtension         = 255

	certSerialList   = 0x20
	certSerialRange  = 0x21
	certSerialBitmap = 0x22
	certKeyID        = 0x23
	certExtension    = 0x39

	// maxKeyID bounds a key ID, in bytes, as in the API.
	maxKeyID = 256
)

var errTruncated = errors.New("the KRL is damaged or incomplete; check it with ssh-keygen -Q -l -f, and store it as binary data (kubectl create secret generic --from-file)")

func parseKRL(data []byte) (config.Revoked, error) {
	s := cryptobyte.String(data)
	var (
		format            uint32
		reserved, comment cryptobyte.String
	)
	if !s.Skip(len(magic)) || !s.ReadUint32(&format) {
		return config.Revoked{}, errTruncated
	}
	if format != version {
		return config.Revoked{}, fmt.Errorf("the KRL has format %d; only %d is supported", format, version)
	}
	// Its version, creation time and flags.
	if !s.Skip(3*8) || !readString(&s, &reserved) || !readString(&s, &comment) {
		return config.Revoked{}, errTruncated
	}
	var k krl
	for !s.Empty() {
		var (
			kind uint8
			body cryptobyte.String
		)
		if !s.ReadUint8(&kind) || !readString(&s, &body) {
			return config.Revoked{}, errTruncated
		}
		if err := k.section(kind, body); err != nil {
			return config.Revoked{}, err
		}
	}
	return k.out, nil
}

type krl struct{ out config.Revoked }

func (k *krl) section(kind uint8, body cryptobyte.String) error {
	switch kind {
	case sectionCertificates:
		return k.certificates(body)
	case sectionExplicitKey:
		return each(body, func(blob cryptobyte.String) error {
			// Not parsed: keys of unknown types are revoked as well.
			sum := sha256.Sum256(blob)
			return k.key(sum[:])
		})
	case sectionFingerprintSHA256:
		return each(body, func(hash cryptobyte.String) error { return k.key(hash) })
	case sectionFingerprintSHA1:
		return errors.New(`the KRL has SHA-1 fingerprints, which revoke nothing here; create it with "hash:" or the keys themselves, not "sha1:"`)
	case sectionSignature:
		return nil // writers of the Secret are trusted; OpenSSH does not check it either
	case sectionExtension:
		return extension(body)
	}
	return fmt.Errorf("the KRL has a section of type %d, which is not supported", kind)
}

func (k *krl) key(sha256sum []byte) error {
	if len(sha256sum) != sha256.Size {
		return errTruncated
	}
	k.out.Keys = append(k.out.Keys, "SHA256:"+base64.RawStdEncoding.EncodeToString(sha256sum))
	return k.full()
}

func (k *krl) full() error {
	if len(k.out.Keys)+len(k.out.Certificates) > config.MaxRevoked {
		return errTooMany
	}
	return nil
}

// certificates reads what is revoked for a CA, or for all if there is no key.
func (k *krl) certificates(body cryptobyte.String) error {
	var blob, reserved cryptobyte.String
	if !readString(&body, &blob) || !readString(&body, &reserved) {
		return errTruncated
	}
	var ca string
	if !blob.Empty() {
		key, err := ssh.ParsePublicKey(blob)
		if err != nil {
			return errors.New("the KRL names a CA whose key is damaged, or of an unsupported type")
		}
		ca = ssh.FingerprintSHA256(key)
	}
	for !body.Empty() {
		var (
			kind uint8
			part cryptobyte.String
		)
		if !body.ReadUint8(&kind) || !readString(&body, &part) {
			return errTruncated
		}
		if err := k.certificate(ca, kind, part); err != nil {
			return err
		}
	}
	return nil
}

func (k *krl) certificate(ca string, kind uint8, part cryptobyte.String) error {
	switch kind {
	case certSerialList:
		for !part.Empty() {
			var serial uint64
			if !part.ReadUint64(&serial) {
				return errTruncated
			}
			if err := k.serials(ca, serial, serial); err != nil {
				return err
			}
		}
		return nil
	case certSerialRange:
		var first, last uint64
		if !part.ReadUint64(&first) || !part.ReadUint64(&last) || !part.Empty() {
			return errTruncated
		}
		return k.serials(ca, first, last)
	case certSerialBitmap:
		return k.bitmap(ca, part)
	case certKeyID:
		return each(part, func(id cryptobyte.String) error {
			switch {
			case len(id) == 0 || len(id) > maxKeyID:
				return fmt.Errorf("the KRL has a key ID of %d bytes; it may have 1 to %d", len(id), maxKeyID)
			case !utf8.Valid(id):
				return errors.New("the KRL has a key ID that is not valid UTF-8")
			}
			k.out.Certificates = append(k.out.Certificates, config.RevokedCertificate{CA: ca, KeyID: string(id)})
			return k.full()
		})
	case certExtension:
		return extension(part)
	}
	return fmt.Errorf("the KRL has a certificate section of type %d, which is not supported", kind)
}

// serials adds the serial numbers from first to last. Number 0 means none: CAs that do not
// assign serial numbers use it.
func (k *krl) serials(ca string, first, last uint64) error {
	if first == 0 || last < first {
		return errTruncated
	}
	c := config.RevokedCertificate{CA: ca, Serial: first}
	if last > first {
		c.LastSerial = last
	}
	k.out.Certificates = append(k.out.Certificates, c)
	return k.full()
}

// bitmap adds the serial number offset+n for each bit n that is set in an mpint.
func (k *krl) bitmap(ca string, part cryptobyte.String) error {
	var (
		offset uint64
		bits   cryptobyte.String
	)
	if !part.ReadUint64(&offset) || !readString(&part, &bits) || !part.Empty() || len(bits) > 0 && bits[0] >= 0x80 {
		return errTruncated // the last is a negative number (RFC 4251 section 5)
	}
	n := uint64(len(bits)) * 8
	if n > 0 && offset > math.MaxUint64-n {
		return errTruncated
	}
	set := func(i uint64) bool { return i < n && bits[uint64(len(bits))-1-i/8]>>(i%8)&1 == 1 }
	for i := uint64(0); i < n; i++ {
		if !set(i) {
			continue
		}
		first := i
		for set(i + 1) {
			i++
		}
		if err := k.serials(ca, offset+first, offset+i); err != nil {
			return err
		}
	}
	return nil
}

// extension returns an error for a critical extension.
func extension(body cryptobyte.String) error {
	var (
		name, contents cryptobyte.String
		critical       uint8
	)
	if !readString(&body, &name) || !body.ReadUint8(&critical) || !readString(&body, &contents) || !body.Empty() {
		return errTruncated
	}
	if critical != 0 {
		// Its name is content of the Secret, which no status may quote.
		return errors.New("the KRL has an unsupported critical extension; create it without one, for example with ssh-keygen -k")
	}
	return nil
}

func each(body cryptobyte.String, do func(cryptobyte.String) error) error {
	for !body.Empty() {
		var item cryptobyte.String
		if !readString(&body, &item) {
			return errTruncated
		}
		if err := do(item); err != nil {
			return err
		}
	}
	return nil
}

// readString reads a string (RFC 4251 section 5).
func readString(s, out *cryptobyte.String) bool {
	var n uint32
	return s.ReadUint32(&n) && uint64(n) <= uint64(len(*s)) && s.ReadBytes((*[]byte)(out), int(n))
}
