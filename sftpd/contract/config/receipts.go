package config

import (
	"errors"
	"fmt"

	"github.com/sftp-operator/sftp-operator/sftpd/contract/receipt"
)

// ReceiptKeyFile is the name of the file with the private key that signs receipts; see receipt.ParseSigner.
const ReceiptKeyFile = "receipt-key"

// Receipts are issued for uploads, and kept on the volume of events, with or without sinks of events. The zero value issues none.
type Receipts struct {
	// Key is the file with the private key: ReceiptKeyFile. Another key may replace it at any time.
	Key File `json:"key,omitzero"`
}

// On reports whether receipts are issued.
func (r Receipts) On() bool { return r.Key.Name != "" }

// validateReceipts refuses receipts where a file can change under its name while it is uploaded: a receipt is about a file that is
// complete, and has its checksum.
func (l Listener) validateReceipts() error {
	if !l.Receipts.On() {
		return nil
	}
	if l.Uploads.Publish != PublishOnClose || l.Uploads.Checksum != ChecksumSHA256 {
		return errors.New("receipts need uploads.publish " + PublishOnClose + " and uploads.checksum " + ChecksumSHA256)
	}
	if _, ok := l.Volume(l.Events.Volume); l.Events.Volume != "" && !ok {
		return fmt.Errorf("events.volume: there is no volume %q", l.Events.Volume)
	}
	return nil
}

// readReceiptKey reads the key of receipts, nil if none are issued.
func readReceiptKey(dir string, r Receipts) (*receipt.Signer, error) {
	if !r.On() {
		return nil, nil
	}
	data, err := readReferenced(dir, r.Key)
	if err != nil {
		return nil, err
	}
	signer, err := receipt.ParseSigner(data)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", r.Key.Name, err)
	}
	return signer, nil
}
