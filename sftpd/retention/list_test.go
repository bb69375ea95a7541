package retention

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/sftp-operator/sftp-operator/sftpd/contract/config"
	"github.com/sftp-operator/sftp-operator/sftpd/event"
)

// A run works a fifth of the time. A slow volume makes its pauses longer, within a bound, and the end of the daemon ends a
// pause.
func TestPace(t *testing.T) {
	for worked, want := range map[time.Duration][2]time.Duration{
		200 * time.Millisecond: {800 * time.Millisecond, 5 * time.Second},
		time.Hour:              {5 * time.Second, 5 * time.Second},
	} {
		var pauses []time.Duration
		p := newPace()
		p.sleep = func(_ context.Context, d time.Duration) error {
			pauses = append(pauses, d)
			return nil
		}
		p.since = time.Now().Add(-worked)
		for range 64 {
			if err := p.step(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		if len(pauses) != 1 || pauses[0] < want[0] || pauses[0] > want[1] || time.Since(p.since) >= worked {
			t.Errorf("after %s: %s, and worked since %s", worked, pauses, time.Since(p.since))
		}
	}
	why := errors.New("why")
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(why)
	if err := sleep(ctx, time.Hour); !errors.Is(err, why) {
		t.Errorf("a pause at the end: %v", err)
	}
	p := newPace()
	p.sleep = func(context.Context, time.Duration) error { return nil }
	var err error
	for range 64 {
		err = p.step(ctx)
	}
	if !errors.Is(err, why) {
		t.Errorf("steps at the end: %v", err)
	}
}

// List finds what would be deleted now, up to a number of files for each rule, and changes nothing.
func TestList(t *testing.T) {
	v := of(t.TempDir(), config.RetentionReport)
	v.Rules[0].DeleteAfterSeconds = 0 // so that what was written just now is due
	v.Rules = append(v.Rules, config.RetentionRule{Name: "few", Match: []string{"*.csv"}, Mode: config.RetentionReport, MaxFiles: 1})
	v.Directories = func(config.RetentionRule) []Directory {
		return []Directory{{Path: "team/ada", Account: "team/ada"}, {Path: "team/bob", Account: "team/bob"}}
	}
	s := &seen{T: t, dir: v.Path}
	files := []string{"team/ada/a.csv", "team/ada/b.csv", "team/ada/c.txt", "team/bob/d.csv", "other/e.csv"}
	s.put(files...)
	for limit, want := range map[int]string{0: "few:0 old:0", 2: "few:2 old:2", 3: "few:3 old:3", 9: "few:3 old:4"} {
		count := map[string]int{}
		list, err := List(t.Context(), v, limit, func(e event.FileExpired) error {
			count[e.Rule]++
			if e.Volume != "data" || !strings.HasPrefix(e.Path, e.Account+"/") || e.Size != 7 || e.Uploaded.IsZero() {
				t.Errorf("%+v", e)
			}
			return nil
		})
		if err != nil || len(list) != 3 { // the leftovers' as well
			t.Fatalf("%+v, %v", list, err)
		}
		if got := fmt.Sprintf("few:%d old:%d", count["few"], count["old"]); got != want {
			t.Errorf("at most %d: %s, want %s", limit, got, want)
		}
		for _, r := range list {
			switch {
			case r.Rule == "old" && (r.Due != 4 || r.DueBytes != 28 || r.Files != 4 || r.Halted != ""),
				r.Rule == "few" && (r.Due != 3 || r.Halted != config.HaltTooMany || !strings.Contains(r.Message, "maxFiles is 1")),
				r.Volume != "data":
				t.Errorf("%+v", r)
			}
		}
	}
	if got := s.left(files...); got != strings.Join(files, " ") {
		t.Errorf("left are %s", got)
	}
	if entries, err := os.ReadDir(v.Path); err != nil || len(entries) != 2 {
		t.Errorf("%v, %v", entries, err)
	}
	broken := errors.New("broken")
	if _, err := List(t.Context(), v, 9, func(event.FileExpired) error { return broken }); !errors.Is(err, broken) {
		t.Errorf("an output that ends: %v", err)
	}
	v.Path = filepath.Join(v.Path, "missing")
	if _, err := List(t.Context(), v, 9, nil); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a volume that is not there: %v", err)
	}
}
