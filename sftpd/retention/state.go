package retention

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/sftp-operator/sftp-operator/sftpd/contract/config"
)

// Names of retention's own files, in the volume's directory. Users cannot reach names with this prefix.
const (
	ownPrefix = ".sftpd-upload.retention-"
	lockFile  = ownPrefix + "lock"
	newFile   = ownPrefix + "new"
)

// stateFile returns the name of a listener's state. Listeners may share a volume, and each has its own rules.
func stateFile(listener string) string { return ownPrefix + "state-" + digest(listener) }

const (
	ownMode = 0o600
	// maxState bounds the state file, in bytes. Other programs may write to the volume.
	maxState = 256 << 10
)

// state is what is known about a volume. It is kept on the volume, so that another pod can continue with it.
type state struct {
	Version int   `json:"version"`
	Clock   Trust `json:"clock"`
	// Rules by name, config.StaleUploads among them.
	Rules map[string]ruleState `json:"rules,omitempty"`
}

const stateVersion = 1

// ruleState describes the last run of a rule.
type ruleState struct {
	// Selection is a digest of the part of the rule that selects files, and Rule a digest of all of it.
	Selection string                 `json:"selection"`
	Rule      string                 `json:"rule"`
	Result    config.RetentionStatus `json:"result"`
}

// digests returns a rule's Selection and Rule.
func digests(r config.RetentionRule) (selection, rule string) {
	rule = digest(r)
	r.Mode, r.MaxFiles, r.MaxPercent = "", 0, 0
	return digest(r), rule
}

func digest(v any) string {
	data, _ := json.Marshal(v) //nolint:errchkjson // strings and numbers
	sum := sha256.Sum256(data)
	const length = 16
	return hex.EncodeToString(sum[:length])
}

// errBusy: another daemon is working on the volume.
var errBusy = errors.New("another daemon is working on the volume")

// errNoLocks: the volume does not support locks, so another daemon could work on it at the same time.
var errNoLocks = errors.New("the volume does not support locks")

// place is a volume that this daemon has locked.
type place struct {
	dir  int // O_PATH
	lock int
}

// open locks a volume.
func open(path string) (*place, error) {
	dir, err := openVolume(path)
	if err != nil {
		return nil, err
	}
	p := &place{dir: dir, lock: -1}
	// Without openat2, nothing prevents a walk from crossing into another mount.
	self, err := openBeneath(dir, ".", unix.O_PATH)
	if err != nil {
		p.close()
		return nil, fmt.Errorf("openat2: %w", err)
	}
	unix.Close(self)
	if err := p.hold(); err != nil {
		p.close()
		return nil, err
	}
	return p, nil
}

func (p *place) hold() (err error) {
	err = retry(func() (err error) {
		p.lock, err = unix.Openat(p.dir, lockFile, unix.O_CREAT|unix.O_RDWR|unix.O_NOFOLLOW|unix.O_NONBLOCK|unix.O_CLOEXEC, ownMode)
		return err
	})
	if err != nil {
		return fmt.Errorf("%s: %w", lockFile, err)
	}
	lk := unix.Flock_t{Type: unix.F_WRLCK, Len: 1}
	err = retry(func() error { return fcntlFlock(uintptr(p.lock), unix.F_OFD_SETLK, &lk) })
	switch {
	case err == nil:
		return nil
	case errors.Is(err, unix.EAGAIN), errors.Is(err, unix.EACCES):
		return errBusy
	}
	return errors.Join(errNoLocks, err)
}

// fcntlFlock is the system call. Tests replace it.
var fcntlFlock = unix.FcntlFlock

func (p *place) close() {
	if p.lock >= 0 {
		unix.Close(p.lock)
	}
	unix.Close(p.dir)
}

// clock reads the clocks. The volume's clock is read from the time that a file gets when it is changed.
func (p *place) clock() (Reading, error) {
	now := []unix.Timespec{{Nsec: unix.UTIME_NOW}, {Nsec: unix.UTIME_NOW}}
	err := retry(func() error { return futimens(p.lock, now) })
	if err != nil {
		return Reading{}, fmt.Errorf("%s: %w", lockFile, err)
	}
	var st unix.Stat_t
	if err := retry(func() error { return unix.Fstat(p.lock, &st) }); err != nil {
		return Reading{}, err
	}
	return Reading{Wall: time.Now().UTC(), Volume: time.Unix(st.Ctim.Unix()).UTC(), Boot: bootID(), Since: sinceBoot()}, nil
}

// futimens calls futimens(3): the kernel accepts a descriptor without a path.
func futimens(fd int, times []unix.Timespec) error {
	return unix.UtimesNanoAt(unix.AT_FDCWD, fmt.Sprintf("/proc/self/fd/%d", fd), times, 0)
}

func bootID() string {
	id, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(id))
}

func sinceBoot() time.Duration {
	var ts unix.Timespec
	if unix.ClockGettime(unix.CLOCK_BOOTTIME, &ts) != nil {
		return 0
	}
	return time.Duration(ts.Nano())
}

// readState returns the state of a volume, or an empty one if there is no valid one.
func readState(dir int, listener string) (state, error) {
	name := stateFile(listener)
	empty := state{Version: stateVersion, Rules: map[string]ruleState{}}
	fd, err := unix.Openat(dir, name, unix.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if errors.Is(err, unix.ENOENT) {
		return empty, nil
	}
	if err != nil {
		return empty, fmt.Errorf("%s: %w", name, err)
	}
	f := os.NewFile(uintptr(fd), name)
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxState+1))
	if err != nil {
		return empty, fmt.Errorf("%s: %w", name, err)
	}
	return parseState(data), nil
}

// parseState parses a state. An invalid one counts as none, so the next run only reports.
func parseState(data []byte) state {
	s := state{}
	if len(data) > maxState || json.Unmarshal(data, &s) != nil || s.Version != stateVersion ||
		len(s.Rules) > config.MaxRetentionRules+1 || len(s.Clock.Wrong) > maxWrong {
		s = state{Version: stateVersion}
	}
	if s.Rules == nil {
		s.Rules = map[string]ruleState{}
	}
	for name, r := range s.Rules {
		r.Result.Message = clip(r.Result.Message)
		if s.Rules[name] = r; r.Result.Rule != name {
			delete(s.Rules, name)
		}
	}
	return s
}

func clip(s string) string {
	if len(s) > config.MaxRetentionMessage {
		s = s[:config.MaxRetentionMessage]
	}
	return strings.ToValidUTF8(s, "")
}

// write replaces the state of a volume as a whole.
func (p *place) write(listener string, s state) error {
	data, err := json.Marshal(s)
	if err != nil {
		return err
	}
	fd, err := unix.Openat(p.dir, newFile, unix.O_CREAT|unix.O_TRUNC|unix.O_WRONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK|unix.O_CLOEXEC, ownMode)
	if err != nil {
		return fmt.Errorf("%s: %w", newFile, err)
	}
	f := os.NewFile(uintptr(fd), newFile)
	_, err = f.Write(data)
	if e := f.Sync(); err == nil {
		err = e
	}
	if e := f.Close(); err == nil {
		err = e
	}
	if err != nil {
		return err
	}
	return unix.Renameat(p.dir, newFile, p.dir, stateFile(listener))
}
