package daemon_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/pkg/sftp"
	"golang.org/x/crypto/ssh"

	"github.com/sftp-operator/sftp-operator/sftpd/contract/config"
	"github.com/sftp-operator/sftp-operator/sftpd/contract/config/configtest"
	"github.com/sftp-operator/sftp-operator/sftpd/contract/events"
	"github.com/sftp-operator/sftp-operator/sftpd/contract/receipt"
	"github.com/sftp-operator/sftp-operator/sftpd/daemon/daemontest"
	"github.com/sftp-operator/sftp-operator/sftpd/receipts"
)

// keep puts a receipt for a user where receipts are kept.
func keep(t *testing.T, dir *configtest.Dir, user, id string) *receipt.Envelope {
	t.Helper()
	signer, err := receipt.ParseSigner(dir.ReceiptKey)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := receipt.Encode(&receipt.Receipt{
		Version: 1, ID: id, Listener: "files/public", User: "team/" + user, Path: "/a", SHA256: strings.Repeat("0", 64), Published: time.Now().UTC(),
		Chain: "c", Sequence: 1, Key: signer.Fingerprint(),
	})
	if err != nil {
		t.Fatal(err)
	}
	volume, path := receipts.Place(&dir.Listener, "")
	e := signer.Sign(raw)
	if err := receipts.Open(filepath.Join(volume.Path, path)).Put("team/"+user, []*receipt.Envelope{e}); err != nil {
		t.Fatal(err)
	}
	return e
}

func dial(t *testing.T, d *daemontest.Daemon, user string) *sftp.Client {
	t.Helper()
	client, err := sftp.NewClient(d.MustDial(t, user, ssh.Password("secret")))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = client.Close() })
	return client
}

func list(t *testing.T, c *sftp.Client, dir string) (names []string) {
	t.Helper()
	entries, err := c.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		names = append(names, e.Name())
	}
	slices.Sort(names)
	return names
}

// TestReceiptsOfUsers: each user finds its own receipts in /.receipts, which is not listed, and can change nothing there. The directory
// is gone when receipts are no longer issued.
func TestReceiptsOfUsers(t *testing.T) {
	dir := configtest.New(t)
	for _, user := range []string{"ada", "bob", "own"} {
		dir.AddUser(user, "secret")
	}
	dir.Users[0].Mounts[0].SubPath = "" // her home is the volume, which has the receipts of all
	dir.Users[2].Mounts = append(dir.Users[2].Mounts, config.Mount{Path: "/.receipts", Volume: "data", SubPath: "own-receipts", Access: config.ReadWrite})
	signers := dir.IssueReceipts(t)
	d := daemontest.Start(t, dir)
	want := keep(t, dir, "ada", "one")
	ada, bob, own := dial(t, d, "ada"), dial(t, d, "bob"), dial(t, d, "own")
	if have := list(t, ada, "/.receipts"); !slices.Equal(have, []string{"one.json", "one.json.sig"}) {
		t.Errorf("ada has %q", have)
	}
	if have := list(t, bob, "/.receipts"); len(have) > 0 {
		t.Errorf("bob has %q", have)
	}
	for user, c := range map[string]*sftp.Client{"ada": ada, "bob": bob} {
		if have := list(t, c, "/"); slices.ContainsFunc(have, func(n string) bool { return strings.HasPrefix(n, ".") }) {
			t.Errorf("%s's home lists %q", user, have)
		}
	}
	read := func(name string) []byte {
		t.Helper()
		f, err := ada.Open("/.receipts/" + name)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		raw, err := io.ReadAll(f)
		if err != nil {
			t.Fatal(err)
		}
		return raw
	}
	if v, err := signers.VerifySSH(read("one.json"), read("one.json.sig")); err != nil || !bytes.Equal(v.Raw, want.Payload) {
		t.Error(err)
	}
	_, created := ada.Create("/.receipts/new")
	_, replaced := ada.Create("/.receipts/one.json")
	for what, err := range map[string]error{
		"remove": ada.Remove("/.receipts/one.json"), "rename": ada.PosixRename("/.receipts/one.json", "/.receipts/two.json"),
		"take away": ada.PosixRename("/.receipts/one.json", "/two.json"), "rmdir": ada.RemoveDirectory("/.receipts"), "mkdir": ada.Mkdir("/.receipts/d"),
		"chmod": ada.Chmod("/.receipts/one.json", 0o777), "truncate": ada.Truncate("/.receipts/one.json", 0), "create": created, "replace": replaced,
		"link": ada.Link("/.receipts/one.json", "/link"), "rename onto": ada.PosixRename("/bob", "/.receipts"),
	} {
		if err == nil {
			t.Errorf("%s succeeds", what)
		}
	}
	if !bytes.Equal(read("one.json"), want.Payload) {
		t.Error("the receipt was changed")
	}
	// A user's own directory with that name stays.
	f, err := own.Create("/.receipts/file")
	if err != nil || f.Close() != nil || !slices.Contains(list(t, own, "/"), ".receipts") {
		t.Errorf("a directory of the user's own: %v", err)
	}
	dir.Listener.Receipts, dir.Listener.Uploads.Publish = config.Receipts{}, ""
	d.Reload(t, dir)
	if _, err := dial(t, d, "ada").ReadDir("/.receipts"); err == nil {
		t.Error("there are receipts when none are issued")
	}
	if st := d.Status(t).Receipts; st != nil {
		t.Errorf("the status says %+v when none are issued", st)
	}
}

// TestReceiptsOfUploads: each upload has a receipt with the size and the SHA-256 of what was sent, the user finds them, and the events
// have the same ones.
func TestReceiptsOfUploads(t *testing.T) {
	var signers receipt.Signers
	dir := configtest.New(t)
	dir.AddUser("ada", "secret")
	dir.RecordEvents(config.EventSink{Name: "files", Types: []events.Type{events.FilePublished}})
	signers = dir.IssueReceipts(t)
	d := daemontest.Start(t, dir)
	r := &recording{d, dir, dial(t, d, "ada"), &events.Client{Key: configtest.EventsKey()}}
	contents := map[string]string{"/a": "first", "/b": strings.Repeat("0123456789", 100_000), "/empty": "", "/ä\n": "third"}
	for name, content := range contents {
		r.upload(t, name, content)
	}
	all, _ := r.pull(t, "files", func() func(*events.Event) bool {
		n := 0
		return func(*events.Event) bool { n++; return n == len(contents) }
	}())
	var have []*receipt.Verified
	for _, e := range all {
		v, err := signers.VerifyEnvelope(e.Data.Receipt)
		if err != nil {
			t.Fatal(err)
		}
		path, err := v.FullPath()
		sum := sha256.Sum256([]byte(contents[path]))
		if err != nil || v.ID != e.ID || v.SHA256 != hex.EncodeToString(sum[:]) || v.Size != int64(len(contents[path])) || v.Connection != e.Data.Connection {
			t.Errorf("%q: %+v, %v", path, v.Receipt, err)
		}
		have = append(have, v)
		delete(contents, path)
	}
	if len(contents) > 0 {
		t.Errorf("without a receipt: %v", contents)
	}
	d.Eventually(t, "the user finds them", func() bool { return len(list(t, r.client, "/.receipts")) == 2*len(have) })
	if st := d.Status(t).Receipts; st == nil || *st != (config.ReceiptsStatus{}) {
		t.Errorf("the status says %+v", st)
	}
	_, scrape := d.Get(t, "/metrics")
	for _, line := range []string{"sftpd_receipts_issued_total 4", "sftpd_uploads_without_receipt_total 0", "sftpd_receipts_failing 0", "sftpd_receipts_not_removed 0"} {
		if !strings.Contains(scrape, line+"\n") {
			t.Errorf("the metrics have no %s", line)
		}
	}
	for _, v := range have {
		f, err := r.client.Open("/.receipts/" + v.ID + ".json")
		if err != nil {
			t.Fatal(err)
		}
		raw, err := io.ReadAll(f)
		if err != nil || !bytes.Equal(raw, v.Raw) {
			t.Errorf("%s: %v", raw, err)
		}
		_ = f.Close()
	}
	if chains := receipt.Check(have); len(chains) != 1 || len(chains[0].Faults) > 0 || chains[0].Count != len(have) {
		t.Errorf("%+v", chains)
	}
	if !strings.Contains(d.RawAudit(), "/.receipts/"+have[0].ID) {
		t.Error("reading a receipt is not in the audit log")
	}
}

// TestReceiptsVolumeIsBroken: a problem with receipts does not keep users from their files.
func TestReceiptsVolumeIsBroken(t *testing.T) {
	dir := configtest.New(t)
	dir.AddUser("ada", "secret")
	dir.IssueReceipts(t)
	broken := t.TempDir()
	if err := os.WriteFile(filepath.Join(broken, ".sftpd-events"), nil, 0o600); err != nil { // no directory
		t.Fatal(err)
	}
	dir.Listener.Volumes = append(dir.Listener.Volumes, config.Volume{Name: "broken", Path: broken})
	dir.Listener.Events.Volume = "broken"
	d := daemontest.Start(t, dir)
	c := dial(t, d, "ada")
	if have := list(t, c, "/"); len(have) > 0 {
		t.Errorf("%q", have)
	}
	if _, err := c.ReadDir("/.receipts"); err == nil {
		t.Error("receipts of a volume that is broken")
	}
}
