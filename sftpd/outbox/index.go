package outbox

import (
	"math/bits"
	"slices"
	"sort"
	"strings"

	"github.com/sftp-operator/sftp-operator/sftpd/contract/config"
	"github.com/sftp-operator/sftp-operator/sftpd/contract/events"
)

// entry is an event that some sink needs: it is pending, or a dead letter.
type entry struct {
	n    uint64
	seg  *segment
	off  int64
	size int64
	at   int64 // when it was recorded, in seconds
	user *account
	// sinks is a set of indexes in index.sinks: the sinks that have not acknowledged the event, or whose dead letter it is.
	sinks uint32
	dead  bool
}

// strangers is the account of all clients that have not logged in.
const strangers = ""

// account counts what the events of a user occupy.
type account struct {
	name, namespace string
	bytes           int64
	reserved        int64 // bytes, for records that are not written yet
	count           int
	// positions of the account's events in order, including some that no sink needs anymore.
	positions []uint64
}

// letter is a dead letter.
type letter struct {
	n    uint64
	id   string
	user string
	size int64
}

// sink is what is known about a sink.
type sink struct {
	config.EventSink
	acked   uint64
	pending int
	bytes   int64
	dropped uint64
	dead    []letter
	// deadBytes is the size of its dead letters, and deadOf their number by user.
	deadBytes int64
	deadOf    map[string]int
}

// receiptsSink is the last of the index's sinks. It needs each event with a receipt until the receipt is in the store. No
// configured sink can have its name.
const receiptsSink = ".receipts"

// index holds all events of a log in memory, without their content. It makes no system calls.
type index struct {
	entries []entry // sorted by n; those without sinks are removed now and then
	done    int     // number of entries without sinks
	sinks   []*sink

	users      map[string]*account
	namespaces map[string]int64
	max, total int64
	deadBytes  int64
}

func newIndex(maxBytes int64, sinks []config.EventSink) *index {
	x := &index{max: maxBytes, users: map[string]*account{}, namespaces: map[string]int64{}}
	for _, s := range withReceipts(sinks) {
		x.sinks = append(x.sinks, &sink{EventSink: s})
	}
	return x
}

// withReceipts appends the store of receipts to the configured sinks.
func withReceipts(sinks []config.EventSink) []config.EventSink {
	return append(slices.Clone(sinks), config.EventSink{Name: receiptsSink})
}

// sink returns the place of a configured sink.
func (x *index) sink(name string) (int, bool) {
	i := slices.IndexFunc(x.sinks[:x.receipts()], func(s *sink) bool { return s.Name == name })
	return i, i >= 0
}

// receipts returns the place of the store of receipts.
func (x *index) receipts() int { return len(x.sinks) - 1 }

// wanting returns the sinks of an event: those of its names that exist, or those that want its type and select no users, and the store if
// it has a receipt.
func (x *index) wanting(t events.Type, names []string, receipt bool) (set uint32) {
	for i, s := range x.sinks {
		ofAll := !s.Selected && wants(s.EventSink, t) || receipt && s.Name == receiptsSink
		if len(names) == 0 && ofAll || slices.Contains(names, s.Name) {
			set |= 1 << i
		}
	}
	return set
}

// account returns a user's account. A new one becomes part of the index when something is charged to it.
func (x *index) account(user string) *account {
	a := x.users[user]
	if a == nil {
		namespace, _, _ := strings.Cut(user, "/")
		a = &account{name: user, namespace: namespace}
	}
	return a
}

// charge adds to what a user occupies, or subtracts.
func (x *index) charge(a *account, n int64) {
	a.bytes += n
	x.total += n
	if x.namespaces[a.namespace] += n; x.namespaces[a.namespace] == 0 {
		delete(x.namespaces, a.namespace)
	}
	if a.bytes == 0 && a.count == 0 {
		delete(x.users, a.name)
	} else {
		x.users[a.name] = a
	}
}

// hold reserves bytes for a user's record, or releases the reservation.
func (x *index) hold(a *account, n int64) {
	a.reserved += n
	x.charge(a, n)
}

// inherit takes over the reservations and the accounts of another index.
func (x *index) inherit(from *index) *index {
	for _, a := range from.users {
		if a.reserved != 0 {
			a.bytes, a.count, a.positions = 0, 0, nil
			x.charge(a, a.reserved)
		}
	}
	return x
}

func (x *index) use(a *account) use {
	return use{max: x.max, total: x.total, user: a.bytes, namespace: x.namespaces[a.namespace], stranger: a.name == strangers}
}

// full reports whether further events of a user with events are refused, or displace others: all of the space is used, or the share of
// the user or of its namespace. A single namespace never gets more than three quarters.
func (x *index) full() bool {
	for _, a := range x.users {
		if a.name != strangers && x.use(a).admit(typicalSize) != nil {
			return true
		}
	}
	return x.max-x.total < events.MaxSize
}

// add adds an event if a sink needs it. Its position must be the highest.
func (x *index) add(e entry) bool {
	if e.sinks == 0 {
		return false
	}
	e.seg.live += e.size
	if e.dead {
		x.deadBytes += e.size
	} else {
		e.user.count++
		e.user.positions = append(e.user.positions, e.n)
		x.charge(e.user, e.size)
		x.each(e.sinks, func(s *sink) { s.pending++; s.bytes += e.size })
	}
	x.entries = append(x.entries, e)
	return true
}

func (x *index) each(set uint32, do func(*sink)) {
	for ; set != 0; set &= set - 1 {
		do(x.sinks[bits.TrailingZeros32(set)])
	}
}

// find returns the place of a position, or of the next one.
func (x *index) find(n uint64) (int, bool) {
	i := sort.Search(len(x.entries), func(i int) bool { return x.entries[i].n >= n })
	return i, i < len(x.entries) && x.entries[i].n == n
}

// needs reports whether a sink needs what is at a position.
func (x *index) needs(n uint64) bool {
	i, ok := x.find(n)
	return ok && x.entries[i].sinks != 0
}

// behind reports whether one of the named sinks has not acknowledged a position.
func (x *index) behind(names []string, n uint64) bool {
	return slices.ContainsFunc(x.sinks, func(s *sink) bool { return s.acked < n && slices.Contains(names, s.Name) })
}

// release marks an event as no longer needed by some sinks.
func (x *index) release(i int, set uint32) {
	e := &x.entries[i]
	set &= e.sinks
	if set == 0 {
		return
	}
	e.sinks &^= set
	if !e.dead {
		x.each(set, func(s *sink) { s.pending--; s.bytes -= e.size })
	}
	if e.sinks != 0 {
		return
	}
	e.seg.live -= e.size
	x.done++
	if e.dead {
		x.deadBytes -= e.size
		return
	}
	e.user.count--
	x.charge(e.user, -e.size)
}

// tidy removes entries that no sink needs. Its cost is proportional to what it removes.
func (x *index) tidy() {
	if x.done < 256 || x.done < len(x.entries)/2 {
		return
	}
	x.entries = slices.Clone(slices.DeleteFunc(x.entries, func(e entry) bool { return e.sinks == 0 }))
	x.done = 0
	for _, a := range x.users {
		a.positions = slices.Clone(slices.DeleteFunc(a.positions, func(n uint64) bool {
			_, ok := x.find(n)
			return !ok
		}))
	}
}

// ack acknowledges all events of a sink up to a position.
func (x *index) ack(at int, n uint64) (changed bool) {
	s := x.sinks[at]
	if n <= s.acked {
		return false
	}
	from, _ := x.find(s.acked + 1)
	s.acked = n
	for i := from; i < len(x.entries) && x.entries[i].n <= n; i++ {
		if !x.entries[i].dead {
			x.release(i, 1<<at)
		}
	}
	x.tidy()
	return true
}

// drop drops an event for all sinks, because there is no room for it or it is too old. A receipt is kept, since it exists
// nowhere else yet.
func (x *index) drop(i int) {
	if e := &x.entries[i]; !e.dead {
		set := e.sinks &^ (1 << x.receipts())
		x.each(set, func(s *sink) { s.dropped++ })
		x.release(i, set)
	}
}

// dropUnreadable drops an unreadable event for all sinks.
func (x *index) dropUnreadable(i int) {
	if x.drop(i); !x.entries[i].dead {
		x.release(i, x.entries[i].sinks)
	}
}

// dropOldest drops the oldest event of a user, and reports whether there was one.
func (x *index) dropOldest(a *account) bool {
	for len(a.positions) > 0 {
		n := a.positions[0]
		a.positions = a.positions[1:]
		if i, ok := x.find(n); ok && x.entries[i].sinks != 0 {
			x.drop(i)
			return true
		}
	}
	return false
}

// largestAccount returns the user with the most bytes, nil for none.
func (x *index) largestAccount() (most *account) {
	for _, a := range x.users {
		if a.count > 0 && (most == nil || a.bytes > most.bytes) {
			most = a
		}
	}
	return most
}

// makeRoom drops events until n further bytes of a user may be kept. It fails if that is not possible.
func (x *index) makeRoom(a *account, n int64) error {
	for {
		err := x.use(a).admit(n)
		if err == nil || n > x.max/2 {
			x.tidy()
			return err
		}
		from := a
		// A user that has logged in gets its share at the expense of others.
		if a.name != strangers && (err == ErrFull || a.count == 0) { //nolint:errorlint // admit's own
			if from = x.largestAccount(); from == nil {
				return err
			}
		}
		if !x.dropOldest(from) {
			return err
		}
	}
}

// expire drops events that were recorded before a time, in seconds, and events that became dead letters before it.
func (x *index) expire(before int64) {
	letters := false
	for i := range x.entries {
		e := &x.entries[i]
		if e.at >= before { // later ones may be older if they were adopted
			continue
		}
		if e.dead && e.sinks != 0 {
			letters = true
			x.each(e.sinks, func(s *sink) { s.dropped++ })
			x.release(i, e.sinks)
			continue
		}
		x.drop(i)
	}
	if letters {
		x.unlist()
	}
	x.tidy()
}

// unlist removes dead letters that are no longer kept from the sinks' lists.
func (x *index) unlist() {
	for at, s := range x.sinks {
		s.unlist(func(l letter) bool {
			i, ok := x.find(l.n)
			return !ok || x.entries[i].sinks&(1<<at) == 0
		})
	}
}

// unlist removes dead letters from the sink's list.
func (s *sink) unlist(gone func(letter) bool) {
	s.dead = slices.DeleteFunc(s.dead, func(l letter) bool {
		if !gone(l) {
			return false
		}
		s.deadBytes -= l.size
		if s.deadOf[l.user]--; s.deadOf[l.user] == 0 {
			delete(s.deadOf, l.user)
		}
		return true
	})
}

// configure sets the sinks. A new one gets the events after position n.
func (x *index) configure(maxBytes int64, sinks []config.EventSink, n uint64) {
	x.max = maxBytes
	old := x.sinks
	x.sinks = nil
	become := make([]uint32, len(old)) // 0 for a sink that is gone
	for i, s := range withReceipts(sinks) {
		next := &sink{EventSink: s, acked: n}
		if j := slices.IndexFunc(old, func(o *sink) bool { return o.Name == s.Name }); j >= 0 {
			become[j] = 1 << i
			*next = *old[j]
			next.EventSink = s
		}
		x.sinks = append(x.sinks, next)
	}
	for i := range x.entries {
		e := &x.entries[i]
		var set, gone uint32
		for left := e.sinks; left != 0; left &= left - 1 {
			j := bits.TrailingZeros32(left)
			if set |= become[j]; become[j] == 0 {
				gone = 1
			}
		}
		if e.sinks = set; set == 0 && gone != 0 {
			x.forget(e)
		}
	}
	x.tidy()
}

// forget releases the space of an entry without sinks.
func (x *index) forget(e *entry) {
	e.seg.live -= e.size
	x.done++
	if e.dead {
		x.deadBytes -= e.size
		return
	}
	e.user.count--
	x.charge(e.user, -e.size)
}

// bury makes an event, which was added for one sink only, a dead letter of that sink. If there are too many, the oldest ones of
// the user with the most are removed, so that one user's dead letters never displace another's.
func (x *index) bury(at int, e entry, id string) {
	e.dead, e.sinks = true, 1<<at
	if !x.add(e) {
		return
	}
	s := x.sinks[at]
	s.dead = append(s.dead, letter{e.n, id, e.user.name, e.size})
	if s.deadOf == nil {
		s.deadOf = map[string]int{}
	}
	s.deadOf[e.user.name]++
	s.deadBytes += e.size
	for len(s.dead) > events.MaxDead {
		x.giveWay(at)
	}
	for x.deadBytes > x.max/4 {
		most := at
		for i, o := range x.sinks {
			if o.deadBytes > x.sinks[most].deadBytes {
				most = i
			}
		}
		if len(x.sinks[most].dead) < 2 {
			break
		}
		x.giveWay(most)
	}
}

// giveWay removes the oldest dead letter of those users that have the most.
func (x *index) giveWay(at int) {
	s, most := x.sinks[at], 0
	for _, n := range s.deadOf {
		most = max(most, n)
	}
	i := slices.IndexFunc(s.dead, func(l letter) bool { return s.deadOf[l.user] == most })
	x.removeDead(at, s.dead[i].n)
	s.dropped++
}

// removeDead removes a dead letter from its sink.
func (x *index) removeDead(at int, n uint64) {
	x.sinks[at].unlist(func(l letter) bool { return l.n == n })
	if i, ok := x.find(n); ok && x.entries[i].dead {
		x.release(i, 1<<at)
	}
}

// first returns the first pending event of a sink, nil for none.
func (x *index) first(at int) *entry {
	if x.sinks[at].pending == 0 {
		return nil
	}
	i, _ := x.find(x.sinks[at].acked + 1)
	for ; i < len(x.entries); i++ {
		if e := &x.entries[i]; !e.dead && e.sinks&(1<<at) != 0 {
			return e
		}
	}
	return nil
}

// oldest returns when the oldest pending event of a sink was recorded, in seconds; 0 for none.
func (x *index) oldest(at int) int64 {
	if e := x.first(at); e != nil {
		return e.at
	}
	return 0
}
