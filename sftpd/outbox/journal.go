package outbox

import (
	"crypto/rand"
	"strings"
	"time"

	"github.com/sftp-operator/sftp-operator/sftpd/contract/events"
	"github.com/sftp-operator/sftp-operator/sftpd/contract/receipt"
	"github.com/sftp-operator/sftp-operator/sftpd/event"
	"github.com/sftp-operator/sftp-operator/sftpd/vfs"
)

// Journal returns the journal of a connection's files, nil if the outbox is off.
func (b *Box) Journal(c *event.Connection) vfs.Journal {
	if b.current.Load() == nil {
		return nil
	}
	return &journal{b, c}
}

type journal struct {
	box *Box
	of  *event.Connection
}

// Admits implements vfs.Journal.
func (j *journal) Admits() error {
	o := j.box.current.Load()
	if o == nil || !o.records(j.of.Account) {
		return nil
	}
	return o.admits(j.of.Account)
}

// Temporary implements vfs.Journal.
func (j *journal) Temporary(name string) bool {
	o := j.box.current.Load()
	return o != nil && o.temporary(name)
}

// nothing is the outcome of an upload that is not recorded.
type nothing struct{}

func (nothing) Published() error { return nil }
func (nothing) Failed()          {}

// Publishing implements vfs.Journal.
func (j *journal) Publishing(p *vfs.Publication) (vfs.Outcome, error) {
	o := j.box.current.Load()
	if o == nil || !o.records(j.of.Account) || o.temporary(p.Name) {
		return nothing{}, nil
	}
	rec := record{
		Kind: prepared, Dir: []byte(p.Dir), Name: []byte(p.Name), Temp: []byte(p.Temp), Inode: p.Inode, Written: p.ModTime,
		Rename: p.OriginalPath != "", User: j.of.Account, Type: events.FilePublished, For: o.eligible(j.of.Account),
	}
	e := o.published(j.of, p)
	out := &publishing{outbox: o, sync: p.Sync, receipt: o.promise(e)}
	var err error
	if rec.Event, err = events.Encode(e); err != nil {
		return nothing{}, o.unlessDropping(err)
	}
	out.event = record{Kind: recorded, User: rec.User, Type: rec.Type, For: o.names(rec.Type, j.of.Account), Event: rec.Event}
	out.cost = estimate(rec.Event) + estimateReceipt(out.receipt)
	if out.user, err = o.reserve(j.of.Account, out.cost, o.Drops()); err != nil {
		return nothing{}, o.unlessDropping(err)
	}
	ahead := &op{rec: rec, sync: true, user: out.user, cost: out.cost}
	o.put(ahead)
	if err := o.wait(ahead); err != nil {
		return nothing{}, o.unlessDropping(err)
	}
	out.event.Of = ahead.rec.N
	o.step("prepared")
	return out, nil
}

// records reports whether uploads of an account are recorded: a sink wants their events, or they have receipts.
func (o *outbox) records(account string) bool {
	return o.receipts || o.wantedOf(events.FilePublished, account)
}

// unlessDropping returns the error that refuses an upload, or nil if uploads continue without their events. No upload
// continues without its receipt.
func (o *outbox) unlessDropping(err error) error {
	if o.Drops() && !o.receipts {
		return nil
	}
	return err
}

// publishing is an upload between its two records.
type publishing struct {
	*outbox
	event   record
	receipt *receipt.Receipt
	user    *account
	cost    int64
	sync    bool
}

// Published implements vfs.Outcome.
func (p *publishing) Published() error {
	p.step("renamed")
	// A receipt that someone has seen must survive a crash of the node, or a different one would be issued for the upload later.
	o := &op{rec: p.event, receipt: p.receipt, sync: p.sync || p.receipt != nil, user: p.user, cost: p.cost}
	p.put(o)
	if err := p.wait(o); err != nil {
		return p.unlessDropping(err)
	}
	p.step("recorded")
	return nil
}

// Failed implements vfs.Outcome.
func (p *publishing) Failed() {
	p.put(&op{rec: record{Kind: abandoned, Of: p.event.Of, User: p.event.User}, user: p.user, cost: p.cost})
}

// Written implements vfs.Journal.
func (j *journal) Written(p *vfs.Publication) error {
	o := j.box.current.Load()
	if o == nil || !o.records(j.of.Account) || o.temporary(p.Name) {
		return nil
	}
	e := o.published(j.of, p)
	promised := o.promise(e)
	op, err := o.record(e, j.of.Account, estimateReceipt(promised), o.reserve)
	if err == nil {
		op.receipt = promised
		op.sync = p.Sync || promised != nil
		o.put(op)
		err = o.wait(op)
	}
	if err != nil {
		return o.unlessDropping(err)
	}
	o.step("recorded")
	return nil
}

// record returns the op that records an event, with room reserved for it plus more bytes.
func (o *outbox) record(e *events.Event, user string, more int64, reserve reserver) (*op, error) {
	raw, err := events.Encode(e)
	if err != nil {
		return nil, err
	}
	cost := estimate(raw) + more
	a, err := reserve(user, cost, o.Drops())
	if err != nil {
		return nil, err
	}
	return &op{rec: record{Kind: recorded, User: user, Type: e.Type, For: o.names(e.Type, e.Data.User), Event: raw}, user: a, cost: cost}, nil
}

func (o *outbox) published(c *event.Connection, p *vfs.Publication) *events.Event {
	e := o.event(c, events.FilePublished, p.Path)
	e.Data.Size, e.Data.SHA256, e.Data.Replaced, e.Data.BytesWritten = &p.Size, p.SHA256, p.Replaced, p.BytesWritten
	if p.OriginalPath != "" {
		e.Data.SetOriginalPath(p.OriginalPath)
	}
	return e
}

// event returns an event of a connection, with a new ID.
func (o *outbox) event(c *event.Connection, t events.Type, path string) *events.Event {
	namespace, name, _ := strings.Cut(c.Account, "/")
	e := &events.Event{
		SpecVersion: events.SpecVersion, ID: rand.Text(), Source: o.Source, Type: t, Time: time.Now().UTC(),
		DataContentType: events.DataContentType, Sequence: noSequence,
		Data: events.Data{Listener: o.listener, User: c.Account, Login: events.Text(c.User, event.MaxName), Connection: c.ID, SourceAddress: c.Source},
	}
	if c.Account != "" {
		e.Subject, e.PartitionKey = events.Subject(namespace, name, path), c.Account
		e.AuthType, e.AuthID = events.AuthUser, c.Account
	}
	if path != "" {
		e.Data.SetPath(path)
	}
	return e
}
