package durable

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/pkg/sftp"
	"golang.org/x/crypto/ssh"

	"github.com/sftp-operator/sftp-operator/sftpd/contract/config"
	"github.com/sftp-operator/sftp-operator/sftpd/contract/config/configtest"
	"github.com/sftp-operator/sftp-operator/sftpd/contract/events"
	"github.com/sftp-operator/sftp-operator/sftpd/contract/receipt"
	"github.com/sftp-operator/sftp-operator/sftpd/daemon/daemontest"
)

// campaign uploads files while daemons are killed, and collects their events. Every upload of a user has its own size, so
// that one that replaces another can be distinguished from it.
type campaign struct {
	dir   *configtest.Dir
	users []string
	key   ssh.Signer
	relay *events.Client
	// signers verify the receipts.
	signers receipt.Signers

	mu    sync.Mutex
	sizes map[string]int64 // the last one of each user
	// answered are the uploads of each user whose last request was answered with OK, in order.
	answered map[string][]upload
	received []*events.Event
	raw      map[string][]byte // by ID
	kills    int
	doubled  int
	changed  int
}

type upload struct {
	path string
	size int64
}

func newCampaign(t *testing.T, users int) *campaign {
	t.Helper()
	dir := configtest.New(t)
	signer, _ := configtest.Key(t)
	c := &campaign{dir: dir, key: signer, relay: &events.Client{Key: configtest.EventsKey()}, sizes: map[string]int64{}, answered: map[string][]upload{}, raw: map[string][]byte{}}
	for i := range users {
		name := fmt.Sprintf("user%d", i)
		c.users = append(c.users, name)
		dir.AddUser(name, "", signer.PublicKey())
	}
	dir.RecordEvents(config.EventSink{Name: "jobs", Types: []events.Type{events.FilePublished}})
	dir.Listener.Events.TemporaryNames = []string{"*.part"}
	c.signers = dir.IssueReceipts(t)
	return c
}

// work uploads as a user until the daemon is gone, up to a number of files.
func (c *campaign) work(d *daemontest.Daemon, user string, most int) {
	conn, err := d.Dial(user, ssh.PublicKeys(c.key))
	if err != nil {
		return // killed
	}
	defer conn.Close()
	client, err := sftp.NewClient(conn)
	if err != nil {
		return
	}
	for range most {
		c.mu.Lock()
		c.sizes[user]++
		u := upload{fmt.Sprintf("/file-%d", c.sizes[user]), c.sizes[user]}
		c.mu.Unlock()
		if u.size%4 == 0 {
			u.path = "/again" // replaces the previous one
		}
		if err := c.upload(client, u, u.size%3 == 0); err != nil {
			return
		}
		c.mu.Lock()
		c.answered[user] = append(c.answered[user], u)
		c.mu.Unlock()
	}
}

// upload returns nil if the last request was answered with OK.
func (c *campaign) upload(client *sftp.Client, u upload, rename bool) error {
	name := u.path
	if rename {
		name += ".part"
	}
	f, err := client.Create(name)
	if err != nil {
		return err
	}
	if _, err := f.Write(bytes.Repeat([]byte("x"), int(u.size))); err != nil {
		return err
	}
	if err := f.Close(); err != nil || !rename {
		return err
	}
	return client.PosixRename(name, u.path)
}

// receive reads pending events, and acknowledges all, some or none of them.
func (c *campaign) receive(t *testing.T, d *daemontest.Daemon, all bool) {
	t.Helper()
	after, wait := "", time.Duration(0)
	if all { // the fate of uploads at the last kill is recorded moments after the log is open
		wait = 10 * time.Second
	}
	for {
		lines, err := c.relay.Pull(t.Context(), d.Health, events.Query{Sink: "jobs", After: after, Limit: events.MaxLimit, Wait: wait})
		if err != nil {
			t.Fatal(err)
		}
		if len(lines) == 0 {
			return
		}
		for _, l := range lines {
			e, err := events.Decode(l.Event)
			if err != nil {
				t.Fatal(err)
			}
			c.take(e, l.Event)
		}
		after = lines[len(lines)-1].Cursor
		if ack := rand.IntN(len(lines) + 2); all || ack > 0 {
			n := len(lines) - 1
			if !all {
				n = min(ack, n)
			}
			if err := c.relay.Ack(t.Context(), d.Health, events.Ack{Sink: "jobs", Cursor: lines[n].Cursor}); err != nil {
				t.Fatal(err)
			}
		}
	}
}

func (c *campaign) take(e *events.Event, raw []byte) {
	before, twice := c.raw[e.ID]
	switch {
	case !twice:
		c.raw[e.ID] = bytes.Clone(raw)
		c.received = append(c.received, e)
	case !bytes.Equal(before, raw):
		c.changed++
		fallthrough
	default:
		c.doubled++
	}
}

// open waits until a daemon's log is open: by then, everything that was prepared has been settled.
func (c *campaign) open(t *testing.T, d *daemontest.Daemon) {
	t.Helper()
	d.Eventually(t, "the log is open", func() bool {
		st, err := c.relay.Status(t.Context(), d.Health)
		return err == nil && st.Durable
	})
}

// result is the outcome of a campaign.
type result struct {
	answered, missing, withoutFile, withoutEvent, order, ids int
}

func (c *campaign) check(t *testing.T) result {
	t.Helper()
	var r result
	type key struct {
		user string
		size int64
	}
	ids, place := map[key]map[string]bool{}, map[key]int{}
	for i, e := range c.received {
		user := strings.TrimPrefix(e.Data.User, "team/")
		k := key{user, *e.Data.Size}
		if ids[k] == nil {
			ids[k], place[k] = map[string]bool{}, i
		}
		ids[k][e.ID] = true
		if e.Data.Path == "/again" {
			continue // another one may have replaced it
		}
		info, err := os.Stat(filepath.Join(c.dir.Home(user), e.Data.Path))
		if err != nil || info.Size() != *e.Data.Size {
			r.withoutFile++
			t.Errorf("event without its file: %s %s %d: %v", user, e.Data.Path, *e.Data.Size, err)
		}
	}
	for _, user := range c.users {
		entries, err := os.ReadDir(c.dir.Home(user))
		if err != nil {
			t.Error(err)
		}
		for _, e := range entries {
			var size int64
			if n, err := fmt.Sscanf(e.Name(), "file-%d", &size); n != 1 || err != nil || strings.HasSuffix(e.Name(), ".part") {
				continue
			}
			if _, ok := place[key{user, size}]; !ok {
				r.withoutEvent++
				t.Errorf("file without its event: %s %s", user, e.Name())
			}
		}
	}
	for _, of := range ids {
		if len(of) > 1 {
			r.ids++
		}
	}
	for user, uploads := range c.answered {
		last := -1
		for _, u := range uploads {
			r.answered++
			k := key{user, u.size}
			at, ok := place[k]
			switch {
			case !ok:
				r.missing++
				t.Errorf("no event for %s %s %d", user, u.path, u.size)
			case at < last:
				r.order++
			default:
				last = at
			}
		}
	}
	return r
}

func (c *campaign) report(t *testing.T, name string, began time.Time) {
	t.Helper()
	r := c.check(t)
	recovered := 0
	for _, e := range c.received {
		if e.Data.Recovered {
			recovered++
		}
	}
	fmt.Printf("EVENTS %s: kills=%d answered=%d events=%d recovered=%d duplicates=%d missing=%d without_file=%d without_event=%d order=%d ids=%d changed=%d seconds=%.0f\n",
		name, c.kills, r.answered, len(c.received), recovered, c.doubled, r.missing, r.withoutFile, r.withoutEvent, r.order, r.ids, c.changed, time.Since(began).Seconds())
	if r.missing+r.withoutFile+r.withoutEvent+r.order+r.ids+c.changed > 0 {
		t.Error("a promise was broken")
	}
	if r.answered == 0 || c.kills == 0 {
		t.Error("nothing was tried")
	}
}
