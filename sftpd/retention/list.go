package retention

import (
	"context"
	"errors"
	"io/fs"
	"time"

	"golang.org/x/sys/unix"

	"github.com/sftp-operator/sftp-operator/sftpd/contract/config"
	"github.com/sftp-operator/sftp-operator/sftpd/event"
)

// List counts what each rule of a volume would delete now, and passes at most limit of the files of each rule to found. It
// deletes and writes nothing, and needs neither a lock nor write permission.
func List(ctx context.Context, v Volume, limit int, found func(event.FileExpired) error) ([]config.RetentionStatus, error) {
	dir, err := openVolume(v.Path)
	if err != nil {
		return nil, &fs.PathError{Op: "open", Path: v.Path, Err: err}
	}
	defer unix.Close(dir)
	s, err := readState(dir, v.Listener)
	if err != nil {
		return nil, err
	}
	h, err := resolve(dir, v.Holds)
	if err != nil {
		return nil, err
	}
	var out []config.RetentionStatus
	for _, rule := range v.rules() {
		r := &run{rule: rule, volume: dir, now: time.Now(), trust: s.Clock, holds: &h, pace: newPace(), leftovers: rule.Name == config.StaleUploads}
		status, err := r.list(ctx, v, limit, found)
		if err != nil {
			return out, err
		}
		out = append(out, status)
	}
	return out, nil
}

// list counts the files of a rule and finds those that are due.
func (r *run) list(ctx context.Context, v Volume, limit int, found func(event.FileExpired) error) (config.RetentionStatus, error) {
	status := config.RetentionStatus{Rule: r.rule.Name, Volume: v.Name}
	counted, err := r.countAll(ctx, v.Directories(r.rule))
	if err != nil {
		return status, err
	}
	for _, d := range counted {
		d.addTo(&status)
		if limit == 0 {
			continue
		}
		err := r.due(ctx, d, func(e *entry, at time.Time) error {
			if limit--; limit < 0 {
				return errEnough
			}
			return found(event.FileExpired{Rule: r.rule.Name, Volume: v.Name, Account: d.Account, Path: e.path(), Size: e.size, Uploaded: at})
		}, nil)
		if err != nil && !errors.Is(err, errEnough) {
			return status, err
		}
		limit = max(limit, 0)
	}
	enforced := r.rule
	enforced.Mode = config.RetentionEnforce // also report exceeded limits
	plan := Decide(enforced, counted, Circumstances{})
	status.Halted, status.Message = plan.Halt, clip(plan.Message)
	return status, nil
}

// errEnough ends a walk that has found enough files.
var errEnough = errors.New("enough")
