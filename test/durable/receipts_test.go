package durable

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/sftp-operator/sftp-operator/sftpd/contract/receipt"
	"github.com/sftp-operator/sftp-operator/sftpd/daemon/daemontest"
	"github.com/sftp-operator/sftp-operator/sftpd/receipts"
)

// stored waits until no receipt is pending, and returns the IDs of those in the store, which must all be valid.
func (c *campaign) stored(t *testing.T, d *daemontest.Daemon) (all []*receipt.Verified) {
	t.Helper()
	d.Eventually(t, "all receipts are where users find them", func() bool {
		st, err := c.relay.Status(t.Context(), d.Health)
		return err == nil && st.Receipts != nil && st.Receipts.Pending == 0
	})
	volume, dir := receipts.Place(&c.dir.Listener, "")
	files, err := filepath.Glob(filepath.Join(volume.Path, dir, "*", "*", "*.json"))
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range files {
		raw, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		sig, err := os.ReadFile(name + ".sig")
		if err != nil {
			t.Fatal(err)
		}
		v, err := c.signers.VerifySSH(raw, sig)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		all = append(all, v)
	}
	return all
}

// checkReceipts: each event carries a valid receipt, the chains have no gap and no fork, and the users find the receipts of
// what they have uploaded. Therefore an upload that was answered with OK has a receipt, because it has an event.
func (c *campaign) checkReceipts(t *testing.T, d *daemontest.Daemon) {
	t.Helper()
	all := c.stored(t, d)
	have, count := map[string]bool{}, map[string]int{}
	for _, v := range all {
		have[v.ID] = true
	}
	without, absent, faults := 0, 0, 0
	for _, e := range c.received {
		count[e.Data.User]++
		v, err := c.signers.VerifyEnvelope(e.Data.Receipt)
		if err != nil || v.ID != e.ID || v.SHA256 != e.Data.SHA256 || v.Size != *e.Data.Size || v.User != e.Data.User {
			without++
			t.Errorf("event %s of %s: %v: %+v, size %v", e.ID, e.Data.Path, err, e.Data, *e.Data.Size)
			continue
		}
		all = append(all, v)
	}
	for _, e := range c.received {
		if !have[e.ID] && count[e.Data.User] < receipts.MaxCount {
			absent++
			t.Errorf("the receipt %s of %s is not in its place", e.ID, e.Data.Path)
		}
	}
	chains := receipt.Check(all)
	for _, chain := range chains {
		if faults += len(chain.Faults); len(chain.Faults) > 0 || chain.First != 1 {
			t.Errorf("%+v", chain)
		}
	}
	fmt.Printf("RECEIPTS events=%d stored=%d chains=%d without=%d absent=%d faults=%d\n", len(c.received), len(have), len(chains), without, absent, faults)
}
