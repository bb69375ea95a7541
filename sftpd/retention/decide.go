package retention

import (
	"cmp"
	"container/heap"
	"fmt"
	"math"
	"time"

	"github.com/sftp-operator/sftp-operator/sftpd/contract/config"
)

// maxEntries is how many entries a directory of a rule may have. In a larger one nothing is deleted, so that other
// directories get their turn.
const maxEntries = 5_000_000

// fewFiles is the number of deletions up to which maxPercent does not apply: if there are only three files, all may be old.
const fewFiles = 100

// Tally counts what a rule's directories contain.
type Tally struct {
	// Files match the rule.
	Files int64
	// Due is the number of files that have expired, and Bytes is their size.
	Due, Bytes int64
	// Kept of Due stay because they are among the newest.
	Kept, KeptBytes int64
	// Skipped are directories that were not looked into: held, mounts, unreadable, or too deep.
	Skipped int64
}

// Deletable returns how many files the rule would delete, and their size.
func (t Tally) Deletable() (files, bytes int64) { return t.Due - t.Kept, t.Bytes - t.KeptBytes }

// Counted is a directory that a rule applies to, after its files were counted.
type Counted struct {
	// Path beneath the volume. Account is "namespace/name" of the user that it belongs to, "" for none.
	Path, Account string
	Tally
	// KeepFrom is the time from which files stay because they are the newest, in nanoseconds since 1970.
	KeepFrom int64
	// TooLarge is set if the directory could not be counted completely.
	TooLarge bool
}

// addTo adds the counts to those of a rule.
func (c *Counted) addTo(s *config.RetentionStatus) {
	files, bytes := c.Deletable()
	s.Files, s.Due, s.DueBytes, s.Skipped = s.Files+c.Files, s.Due+files, s.DueBytes+bytes, s.Skipped+c.Skipped
}

// Circumstances holds what a plan depends on in addition to the files.
type Circumstances struct {
	// Doubt about the clocks.
	Doubt Doubt
	// New is set for a rule that selects different files than in its last run, so that people see its report first.
	New bool
	// Halt is what is wrong with the volume. Detail explains it.
	Halt   config.RetentionHalt
	Detail string
}

// Plan is what a run does.
type Plan struct {
	// Delete are the directories in which it deletes, each with the number of files that it may delete at most.
	Delete []Budget
	// Halt is why a rule that should delete files does not, or not everywhere; "" if nothing is wrong.
	Halt config.RetentionHalt
	// Message explains it, for people.
	Message string
}

// Budget is a directory and how many files may be deleted in it.
type Budget struct {
	*Counted
	Files int64
}

// Decide plans a run of a rule. The limits apply to each directory, so that one user's files stop the rule for others as
// little as possible. maxPercent also applies to all directories together, because that is where a mistake in a rule shows.
func Decide(rule config.RetentionRule, all []*Counted, c Circumstances) Plan {
	switch {
	case rule.Mode != config.RetentionEnforce:
		return Plan{Halt: c.Halt, Message: c.Detail}
	case c.Doubt == DoubtFirst:
		return Plan{Halt: c.Halt, Message: cmp.Or(c.Detail, string(DoubtFirst))}
	case c.New:
		return Plan{Halt: c.Halt, Message: cmp.Or(c.Detail, "the first run of a new or changed rule only reports")}
	case c.Doubt != "":
		return Plan{Halt: config.HaltClock, Message: string(c.Doubt)}
	}
	plan := Plan{Halt: c.Halt, Message: c.Detail}
	l := limits{
		files:   int64(cmp.Or(rule.MaxFiles, config.DefaultRetentionMaxFiles)),
		percent: int64(cmp.Or(rule.MaxPercent, config.DefaultRetentionMaxPercent)),
	}
	var sum Tally
	halted, example := 0, ""
	for _, d := range all {
		if why := l.exceeded(d); why != "" {
			halted, example = halted+1, cmp.Or(example, why)
			continue
		}
		sum.Files, sum.Due, sum.Kept = sum.Files+d.Files, sum.Due+d.Due, sum.Kept+d.Kept
		if files, _ := d.Deletable(); files > 0 || rule.EmptyDirectories {
			plan.Delete = append(plan.Delete, Budget{d, files})
		}
	}
	switch files, _ := sum.Deletable(); {
	case l.share(sum):
		return Plan{Halt: config.HaltTooMany, Message: fmt.Sprintf("%d of %d files would be deleted, but maxPercent is %d", files, sum.Files, l.percent)}
	case halted == 1:
		plan.Halt, plan.Message = config.HaltTooMany, example
	case halted > 1:
		plan.Halt, plan.Message = config.HaltTooMany, fmt.Sprintf("in %d directories; in one of them: %s", halted, example)
	}
	return plan
}

// limits of a rule.
type limits struct{ files, percent int64 }

// exceeded returns why nothing may be deleted in a directory, "" if it may.
func (l limits) exceeded(d *Counted) string {
	files, _ := d.Deletable()
	switch {
	case d.TooLarge:
		return fmt.Sprintf("more than %d files and directories", maxEntries)
	case files > l.files:
		return fmt.Sprintf("%d files would be deleted, but maxFiles is %d", files, l.files)
	case l.share(d.Tally):
		return fmt.Sprintf("%d of %d files would be deleted, but maxPercent is %d", files, d.Files, l.percent)
	}
	return ""
}

func (l limits) share(t Tally) bool {
	files, _ := t.Deletable()
	return files > fewFiles && files*100 > t.Files*l.percent
}

// newest holds the newest files of a directory, at most limit of them. The oldest is first.
type newest struct {
	limit int
	files []dated
}

type dated struct{ at, size int64 }

// Len, Less, Swap, Push and Pop implement heap.Interface.
func (n *newest) Len() int           { return len(n.files) }
func (n *newest) Less(i, j int) bool { return n.files[i].at < n.files[j].at }
func (n *newest) Swap(i, j int)      { n.files[i], n.files[j] = n.files[j], n.files[i] }
func (n *newest) Push(x any)         { n.files = append(n.files, x.(dated)) } //nolint:errcheck,forcetypeassert // see add
func (n *newest) Pop() any           { return nil }                           // nothing is taken out

func (n *newest) add(at time.Time, size int64) {
	f := dated{at.UnixNano(), size}
	switch {
	case n.limit == 0:
	case len(n.files) < n.limit:
		heap.Push(n, f)
	case f.at > n.files[0].at:
		n.files[0] = f
		heap.Fix(n, 0)
	}
}

// keepFrom returns the time from which files stay, in nanoseconds since 1970: files with the same time as the oldest of the
// newest ones also stay.
func (n *newest) keepFrom() int64 {
	if n.limit == 0 {
		return math.MaxInt64
	}
	if len(n.files) < n.limit {
		return math.MinInt64
	}
	return n.files[0].at
}

// due returns how many of them are older than a time, and their size.
func (n *newest) due(cutoff time.Time) (files, bytes int64) {
	for _, f := range n.files {
		if f.at <= cutoff.UnixNano() {
			files, bytes = files+1, bytes+f.size
		}
	}
	return files, bytes
}
