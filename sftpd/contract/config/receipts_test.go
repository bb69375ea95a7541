package config_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/sftp-operator/sftp-operator/sftpd/contract/config"
	"github.com/sftp-operator/sftp-operator/sftpd/contract/config/configtest"
)

func TestReceipts(t *testing.T) {
	for name, tc := range map[string]struct {
		change func(*config.Listener)
		say    string
	}{
		"on":            {func(*config.Listener) {}, ""},
		"off":           {func(l *config.Listener) { l.Receipts, l.Uploads.Publish = config.Receipts{}, "" }, ""},
		"immediate":     {func(l *config.Listener) { l.Uploads.Publish = config.PublishImmediate }, "receipts need uploads.publish OnClose"},
		"no checksum":   {func(l *config.Listener) { l.Uploads.Checksum = "" }, "uploads.checksum SHA256"},
		"volume":        {func(l *config.Listener) { l.Events.Volume = "none" }, `no volume "none"`},
		"key elsewhere": {func(l *config.Listener) { l.Receipts.Key.Name = "../key" }, "not a file name"},
		"key's digest":  {func(l *config.Listener) { l.Receipts.Key.SHA256 = "" }, "sha256"},
	} {
		l := exampleListener()
		l.Uploads.Publish, l.Uploads.Checksum = config.PublishOnClose, config.ChecksumSHA256
		l.Receipts.Key = config.File{Name: config.ReceiptKeyFile, SHA256: config.Digest([]byte("key"))}
		tc.change(&l)
		_, err := config.EncodeListener(l, [][]byte{[]byte("key")}, nil)
		if (err == nil) != (tc.say == "") || err != nil && !strings.Contains(err.Error(), tc.say) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestReceiptKey: the key is loaded, and anything else is refused without being quoted.
func TestReceiptKey(t *testing.T) {
	d := configtest.New(t)
	d.Plain = true
	signers := d.IssueReceipts(t)
	d.Write(t)
	files, err := config.Read(d.Path, nil)
	if err != nil {
		t.Fatal(err)
	}
	if have, want := files.Receipts.PublicKey().Marshal(), signers[0].Key.Marshal(); string(have) != string(want) {
		t.Errorf("another key: %x, %x", have, want)
	}
	if err := os.Remove(filepath.Join(d.Path, config.ReceiptKeyFile)); err != nil {
		t.Fatal(err)
	}
	if _, err := config.Read(d.Path, nil); !errors.Is(err, config.ErrInconsistent) {
		t.Errorf("without the file: %v", err)
	}
	d.ReceiptKey = []byte("secret")
	d.Listener.Receipts.Key.SHA256 = config.Digest(d.ReceiptKey)
	d.Write(t)
	if _, err := config.Read(d.Path, nil); err == nil || !strings.Contains(err.Error(), config.ReceiptKeyFile) || strings.Contains(err.Error(), "secret") {
		t.Errorf("not a key: %v", err)
	}
}
