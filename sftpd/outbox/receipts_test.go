package outbox

import (
	"crypto/ed25519"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/sftp-operator/sftp-operator/sftpd/contract/config"
	"github.com/sftp-operator/sftp-operator/sftpd/contract/events"
	"github.com/sftp-operator/sftp-operator/sftpd/contract/receipt"
)

func testSigner(t testing.TB) (*receipt.Signer, receipt.Signers) {
	t.Helper()
	s, err := receipt.NewSigner(ed25519.NewKeyFromSeed([]byte(strings.Repeat("s", ed25519.SeedSize))))
	if err != nil {
		t.Fatal(err)
	}
	return s, receipt.Signers{{Principal: "files/public", Key: s.PublicKey()}}
}

// uploaded returns the event of an upload.
func uploaded(t testing.TB, user, path string) *events.Event {
	t.Helper()
	e, err := events.Decode(encoded(t, path))
	if err != nil {
		t.Fatal(err)
	}
	size := int64(len(path))
	e.ID = strings.NewReplacer("/", "-", "\xff", "_").Replace(user + path)
	e.ID = e.ID[:min(len(e.ID), 60)]
	if len(path) == events.MaxPath {
		e.Data.SetOriginalPath(path)
	}
	e.Time = time.Now().UTC() // old receipts are removed
	e.Data.Listener, e.Data.User, e.Data.Size, e.Data.SHA256 = "files/public", user, &size, strings.Repeat("ab", 32)
	return e
}

// upload records an upload with a receipt.
func (r *running) upload(t testing.TB, user, path string) error {
	t.Helper()
	e := uploaded(t, user, path)
	promised := r.promise(e)
	raw, err := events.Encode(e)
	if err != nil {
		t.Fatal(err)
	}
	cost := estimate(raw) + estimateReceipt(promised)
	a, err := r.reserve(user, cost, r.drop)
	if err != nil {
		return err
	}
	o := &op{rec: record{Kind: recorded, User: user, Type: e.Type, Event: raw}, receipt: promised, sync: true, user: a, cost: cost}
	r.put(o)
	return r.wait(o)
}

// beginSigning is begin for a log that issues receipts.
func beginSigning(t *testing.T, s logSettings) *running {
	t.Helper()
	signer, _ := testSigner(t)
	r := begin(t, s)
	r.sign(signer)
	return r
}

// stored returns the receipts in a log's store, verified.
func (r *running) stored(t testing.TB) (all []*receipt.Verified) {
	t.Helper()
	_, signers := testSigner(t)
	files, err := filepath.Glob(filepath.Join(r.store.Dir(), "*", "*", "*.json"))
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		raw, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		sig, err := os.ReadFile(f + ".sig")
		if err != nil {
			t.Fatal(err)
		}
		v, err := signers.VerifySSH(raw, sig)
		if err != nil {
			t.Fatalf("%s: %v", f, err)
		}
		if v.User != filepath.Base(filepath.Dir(filepath.Dir(f)))+"/"+filepath.Base(filepath.Dir(f)) {
			t.Errorf("%s is a receipt of %s", f, v.User)
		}
		all = append(all, v)
	}
	return all
}

func (r *running) eventuallyStored(t *testing.T, n int) []*receipt.Verified {
	t.Helper()
	eventually(t, fmt.Sprint(n, " receipts are stored"), func() bool { return r.pendingReceipts() == 0 && len(r.stored(t)) == n })
	return r.stored(t)
}

func (r *running) pendingReceipts() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.x.sinks[r.x.receipts()].pending
}

func checkChains(t *testing.T, all []*receipt.Verified, chains int) {
	t.Helper()
	have := receipt.Check(all)
	if len(have) != chains {
		t.Errorf("%d chains, want %d", len(have), chains)
	}
	for _, c := range have {
		if len(c.Faults) > 0 || c.First != 1 {
			t.Errorf("%+v", c)
		}
	}
}

// TestReceipts: each upload has a receipt, in its user's chain, in its event and in the store, whatever is uploaded at the same time;
// another run of the daemon begins new chains.
func TestReceipts(t *testing.T) {
	set := logSettings{base: filepath.Join(t.TempDir(), "logs"), live: live{sinks: sinks("a")}}
	r := beginSigning(t, set)
	const users, each = 4, 25
	var working sync.WaitGroup
	for u := range users {
		working.Go(func() {
			for i := range each {
				if err := r.upload(t, fmt.Sprint("team/user", u), fmt.Sprint("/", i)); err != nil {
					t.Error(err)
				}
			}
		})
	}
	working.Wait()
	all := r.eventuallyStored(t, users*each)
	checkChains(t, all, users)
	raw, err := r.lines("a", "", events.MaxLimit, false)
	if err != nil {
		t.Fatal(err)
	}
	lines, err := events.ParseLines(raw)
	if err != nil || len(lines) != users*each {
		t.Fatal(len(lines), err)
	}
	_, signers := testSigner(t)
	var carried []*receipt.Verified
	for _, l := range lines {
		e, err := events.Decode(l.Event)
		if err != nil {
			t.Fatal(err)
		}
		v, err := signers.VerifyEnvelope(e.Data.Receipt)
		if err != nil || v.ID != e.ID || v.Path != e.Data.Path || v.SHA256 != e.Data.SHA256 || !v.Published.Equal(e.Time) {
			t.Fatalf("%v: %s", err, l.Event)
		}
		carried = append(carried, v)
	}
	checkChains(t, append(carried, all...), users) // they are the same
	if st := r.status().Receipts; st == nil || st.Issued != users*each || st.Pending != 0 || st.Problem != "" || len(r.status().Sinks) != 1 {
		t.Errorf("%+v", st)
	}
	r.stop()
	r = beginSigning(t, set)
	for i := range 3 {
		if err := r.upload(t, "team/user0", fmt.Sprint("/again", i)); err != nil {
			t.Fatal(err)
		}
	}
	checkChains(t, r.eventuallyStored(t, users*each+3), users+1)
}

// TestReceiptsWithoutSigner: what was promised is not in the event if no receipt can be signed anymore.
func TestReceiptsWithoutSigner(t *testing.T) {
	r := begin(t, logSettings{base: filepath.Join(t.TempDir(), "logs"), live: live{sinks: sinks("a")}})
	if err := r.upload(t, "team/ada", "/1"); err != nil {
		t.Fatal(err)
	}
	raw, err := r.lines("a", "", 1, false)
	if err != nil || strings.Contains(string(raw), "receipt") || r.status().Receipts != nil {
		t.Errorf("%s, %v", raw, err)
	}
}

// TestReceiptsOfLongPaths: an event with two of the longest paths has no room for the receipt, which is in
// the store nevertheless.
func TestReceiptsOfLongPaths(t *testing.T) {
	r := beginSigning(t, logSettings{base: filepath.Join(t.TempDir(), "logs"), live: live{sinks: sinks("a")}})
	for _, n := range []int{2000, events.MaxPath} {
		if err := r.upload(t, "team/ada", "/"+strings.Repeat("\xff", n-1)); err != nil {
			t.Fatal(err)
		}
		raw, err := r.lines("a", "", events.MaxLimit, false)
		if err != nil {
			t.Fatal(err)
		}
		lines, err := events.ParseLines(raw)
		if err != nil {
			t.Fatal(err)
		}
		e, err := events.Decode(lines[len(lines)-1].Event)
		if err != nil || (len(e.Data.Receipt) > 0) != (n < 3000) {
			t.Errorf("%d bytes: receipt of %d bytes, %v", n, len(e.Data.Receipt), err)
		}
	}
	// Both events have the same ID, because that is the path's beginning here: the second receipt gets a name of its own.
	checkChains(t, r.eventuallyStored(t, 2), 1)
}

// TestReceiptsAfterErrors: an upload that was refused leaves no gap in its chain, and no two receipts in one place.
func TestReceiptsAfterErrors(t *testing.T) {
	oldSync := fdatasync
	fail := make(chan error, 1)
	fdatasync = func(f *os.File) error {
		select {
		case err := <-fail:
			return err
		default:
			return oldSync(f)
		}
	}
	r := beginSigning(t, logSettings{base: filepath.Join(t.TempDir(), "logs"), live: live{sinks: sinks("a")}})
	t.Cleanup(func() { r.stop(); fdatasync = oldSync })
	if err := r.upload(t, "team/ada", "/0"); err != nil {
		t.Fatal(err)
	}
	for i := range 3 {
		fail <- unix.EIO
		if err := r.upload(t, "team/ada", fmt.Sprint("/refused", i)); err == nil {
			t.Error("a failed sync is not an error")
		}
		if err := r.upload(t, "team/ada", fmt.Sprint("/taken", i)); err != nil {
			t.Fatal(err)
		}
	}
	checkChains(t, r.eventuallyStored(t, 4), 1)
}

// TestReceiptsWait: receipts are kept in the log while their directory cannot be written, however old they get and however little room
// there is; then they arrive.
func TestReceiptsWait(t *testing.T) {
	r := beginSigning(t, logSettings{base: filepath.Join(t.TempDir(), "logs"), live: live{sinks: sinks("a"), drop: true}})
	if err := os.WriteFile(r.store.Dir(), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for i := range 3 {
		if err := r.upload(t, "team/ada", fmt.Sprint("/", i)); err != nil {
			t.Fatal(err)
		}
	}
	eventually(t, "the problem is told", func() bool {
		st := r.status().Receipts
		return st.Problem != "" && st.Pending == 3 && !strings.Contains(st.Problem, r.base)
	})
	if st := r.receiptsKept(); *st != (config.ReceiptsStatus{Failing: unix.ENOTDIR.Error()}) {
		t.Errorf("%+v", st)
	}
	r.mu.Lock()
	r.x.expire(time.Now().Add(time.Hour).Unix())
	for r.x.dropOldest(r.x.users["team/ada"]) {
	}
	r.mu.Unlock()
	r.expect(t, "a", "")
	if err := os.Remove(r.store.Dir()); err != nil {
		t.Fatal(err)
	}
	checkChains(t, r.eventuallyStored(t, 3), 1)
	eventually(t, "nothing is a problem", func() bool {
		return r.status().Receipts.Problem == "" && *r.receiptsKept() == (config.ReceiptsStatus{})
	})
}

// TestReceiptsOfOneUserFail: a user whose directory cannot be written does not keep others from their receipts, and gets receipts
// when it can be written.
func TestReceiptsOfOneUserFail(t *testing.T) {
	set := logSettings{base: filepath.Join(t.TempDir(), "logs"), live: live{sinks: sinks("a"), maxBytes: 64 << 20}}
	r := beginSigning(t, set)
	eventually(t, "open", func() bool { return len(r.status().Problems) == 0 })
	broken := filepath.Join(r.store.Dir(), "team", "ada")
	if err := os.MkdirAll(filepath.Dir(broken), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(broken, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	const many = keepLimit + 10 // more than one look takes
	for i := range many {
		if err := r.upload(t, "team/ada", fmt.Sprint("/", i)); err != nil {
			t.Fatal(err)
		}
	}
	later := func(path string) {
		t.Helper()
		if err := r.upload(t, "team/bob", path); err != nil {
			t.Fatal(err)
		}
	}
	stored := func(n int) {
		t.Helper()
		eventually(t, "those of others are stored", func() bool { return len(r.stored(t)) == n })
	}
	later("/1")
	stored(1)
	eventually(t, "the problem is told", func() bool {
		st := r.status().Receipts
		return st.Problem != "" && st.Pending == many
	})
	r.stop()
	r = beginSigning(t, set)
	later("/2")
	stored(2)
	if err := os.Remove(broken); err != nil {
		t.Fatal(err)
	}
	r.eventuallyStored(t, many+2)
	eventually(t, "nothing is a problem", func() bool { st := r.status().Receipts; return st.Problem == "" && st.Pending == 0 })
}

// TestOldReceiptsStay: old receipts that cannot be removed are reported as a separate problem: users still find new ones.
func TestOldReceiptsStay(t *testing.T) {
	r := beginSigning(t, logSettings{base: filepath.Join(t.TempDir(), "logs"), trimEvery: 20 * time.Millisecond, live: live{sinks: sinks("a")}})
	if err := r.upload(t, "team/ada", "/1"); err != nil {
		t.Fatal(err)
	}
	r.eventuallyStored(t, 1)
	broken := filepath.Join(r.store.Dir(), "team", "bob")
	if err := os.WriteFile(broken, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	is := func(problem string) func() bool {
		return func() bool {
			st := r.status().Receipts
			return strings.Contains(st.NotRemoved, problem) && (problem == "") == (st.NotRemoved == "") && st.Problem == "" &&
				*r.receiptsKept() == (config.ReceiptsStatus{NotRemoved: problem}) && !strings.Contains(st.NotRemoved, r.base)
		}
	}
	eventually(t, "it is told", is(unix.ENOTDIR.Error()))
	if err := r.upload(t, "team/ada", "/2"); err != nil {
		t.Fatal(err)
	}
	checkChains(t, r.eventuallyStored(t, 2), 1)
	for range 20 {
		if time.Sleep(5 * time.Millisecond); r.status().Receipts.NotRemoved == "" {
			t.Fatal("it is no longer told, and nothing has changed")
		}
	}
	if err := os.Remove(broken); err != nil {
		t.Fatal(err)
	}
	eventually(t, "nothing is a problem", is(""))
}

// TestReceiptsThatCannotBeKept: what another release, or another program, has written into the log does not keep any receipt from
// being stored.
func TestReceiptsThatCannotBeKept(t *testing.T) {
	r := beginSigning(t, logSettings{base: filepath.Join(t.TempDir(), "logs"), live: live{sinks: sinks("a")}})
	signer, _ := testSigner(t)
	for user, payload := range map[string]string{"team/eve": `{"version":2}` + "\n", "eve": "{}", "../eve": "none"} {
		raw, err := signer.Sign([]byte(payload)).Encode()
		if err != nil {
			t.Fatal(err)
		}
		o := &op{sync: true, rec: record{
			Kind: recorded, User: user, Type: events.FilePublished, For: []string{receiptsSink}, Event: encoded(t, "/x"), Receipt: raw,
		}}
		r.put(o)
		if err := r.wait(o); err != nil {
			t.Fatal(err)
		}
	}
	if err := r.upload(t, "team/bob", "/1"); err != nil {
		t.Fatal(err)
	}
	r.eventuallyStored(t, 1)
	eventually(t, "nothing waits", func() bool { st := r.status().Receipts; return st.Problem == "" && st.Pending == 0 })
}

// TestReceiptsOfOtherPods: receipts that a pod had no time to put into the store get there from the pod that adopts its log, and what
// it was about to publish has a receipt of the adopting pod, if the file is the one whose checksum is known.
func TestReceiptsOfOtherPods(t *testing.T) {
	dir := t.TempDir()
	live := live{sinks: sinks("a")}
	gone := beginSigning(t, logSettings{base: filepath.Join(dir, "logs"), pod: "gone", live: live})
	if err := os.WriteFile(gone.store.Dir(), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := gone.upload(t, "team/ada", "/kept"); err != nil {
		t.Fatal(err)
	}
	for name, content := range map[string]string{"/same": "12345", "/grown": "1234567"} {
		file := filepath.Join(dir, name)
		if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		var st unix.Stat_t
		if err := unix.Stat(file, &st); err != nil {
			t.Fatal(err)
		}
		e := uploaded(t, "team/ada", name)
		*e.Data.Size = 5
		gone.promise(e)
		raw, err := events.Encode(e)
		if err != nil {
			t.Fatal(err)
		}
		ahead := &op{sync: true, rec: record{
			Kind: prepared, Dir: []byte(dir), Name: []byte(name[1:]), Inode: st.Ino, User: "team/ada", Type: e.Type, Event: raw,
		}}
		gone.put(ahead)
		if err := gone.wait(ahead); err != nil {
			t.Fatal(err)
		}
	}
	gone.stop()
	if err := os.Remove(gone.store.Dir()); err != nil {
		t.Fatal(err)
	}
	heir := beginSigning(t, logSettings{base: filepath.Join(dir, "logs"), pod: "heir", live: live})
	checkChains(t, heir.eventuallyStored(t, 2), 2)
	raw, err := heir.lines("a", "", events.MaxLimit, false)
	if err != nil {
		t.Fatal(err)
	}
	lines, err := events.ParseLines(raw)
	if err != nil || len(lines) != 3 {
		t.Fatal(len(lines), err)
	}
	for _, l := range lines {
		e, err := events.Decode(l.Event)
		if err != nil {
			t.Fatal(err)
		}
		if has := len(e.Data.Receipt) > 0; has != (e.Data.Path != "/grown") || has != (e.Data.SHA256 != "") {
			t.Errorf("%s", l.Event)
		}
	}
}

// TestManyChains: the chains in memory are bounded, and a user whose chain was forgotten gets a new one.
func TestManyChains(t *testing.T) {
	var c chains
	for i := range 2 * maxChains {
		c.add(map[string]head{strconv.Itoa(i): {chain: "c"}})
	}
	if len(c) != maxChains {
		t.Errorf("%d chains", len(c))
	}
}

// TestTurnedOver: with a different key the chain continues, and each receipt names its own key.
func TestTurnedOver(t *testing.T) {
	r := beginSigning(t, logSettings{base: filepath.Join(t.TempDir(), "logs"), live: live{}})
	other, err := receipt.NewSigner(ed25519.NewKeyFromSeed([]byte(strings.Repeat("o", ed25519.SeedSize))))
	if err != nil {
		t.Fatal(err)
	}
	if err := r.upload(t, "team/ada", "/1"); err != nil {
		t.Fatal(err)
	}
	r.eventuallyStored(t, 1)
	r.sign(other)
	if err := r.upload(t, "team/ada", "/2"); err != nil {
		t.Fatal(err)
	}
	eventually(t, "it is stored", func() bool { return r.pendingReceipts() == 0 })
	name := filepath.Join(r.store.Dir(), "team", "ada", "team-ada-2.json")
	raw, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	sig, err := os.ReadFile(name + ".sig")
	if err != nil {
		t.Fatal(err)
	}
	v, err := receipt.Signers{{Principal: "*", Key: other.PublicKey()}}.VerifySSH(raw, sig)
	if err != nil || v.Sequence != 2 || v.Key != other.Fingerprint() {
		t.Errorf("%+v, %v", v, err)
	}
}

func TestSteady(t *testing.T) {
	for byClock, want := range map[time.Duration]bool{
		time.Hour: true, 55 * time.Minute: true, 65 * time.Minute: true, 25 * time.Hour: false, -time.Hour: false, 49 * time.Minute: false,
	} {
		if steady(byClock, time.Hour) != want {
			t.Errorf("%s by the clock in an hour: %t", byClock, !want)
		}
	}
}

func BenchmarkIssue(b *testing.B) {
	signer, _ := testSigner(b)
	l := &log{signer: signer}
	for b.Loop() {
		batch := make([]*op, 100)
		for i := range batch {
			e := uploaded(b, "team/ada", "/in/file.csv")
			o := &op{receipt: l.promise(e), rec: record{Kind: recorded, User: "team/ada"}}
			o.rec.Event, _ = events.Encode(e)
			batch[i] = o
		}
		if _, err := l.issue(batch); err != nil {
			b.Fatal(err)
		}
	}
}
