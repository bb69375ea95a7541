package attack

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/sftp-operator/sftp-operator/sftpd/contract/config/configtest"
	"github.com/sftp-operator/sftp-operator/sftpd/daemon/daemontest"
)

// none is the daemon without sessions, and withFile leaves a file open in each session.
const (
	none     = "none"
	withFile = "with an open file"
)

// kindsOfIdle are the things that an idle session may have open.
var kindsOfIdle = map[string]func(t *testing.T, c *ssh.Client){
	none:        nil,
	"logged in": func(*testing.T, *ssh.Client) {},
	"with SFTP": func(t *testing.T, c *ssh.Client) { t.Helper(); _ = daemontest.StartSFTP(t, c) },
	withFile: func(t *testing.T, c *ssh.Client) {
		t.Helper()
		if _, err := daemontest.StartSFTP(t, c).OpenFile("/open", os.O_RDWR|os.O_CREATE); err != nil {
			t.Error(err)
		}
	},
}

// setting reads a number from the environment.
func setting(name string, otherwise int) int {
	if n, err := strconv.Atoi(os.Getenv(name)); err == nil {
		return n
	}
	return otherwise
}

// processor returns the CPU time of a process, to the nanosecond: the first number of each thread's schedstat (proc.rst of the
// kernel). /proc/<pid>/stat only has hundredths of a second.
func processor(t *testing.T, d *daemontest.Daemon) (used time.Duration) {
	t.Helper()
	all, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/schedstat", d.PID))
	if err != nil || len(all) == 0 {
		t.Fatal("no threads: ", err)
	}
	for _, file := range all {
		numbers, err := os.ReadFile(file)
		if err != nil {
			continue // the thread has ended
		}
		first, _, _ := strings.Cut(string(numbers), " ")
		ns, err := strconv.ParseInt(first, 10, 64)
		if err != nil {
			t.Fatal(err)
		}
		used += time.Duration(ns)
	}
	return used
}

// rest is how long idle sessions wait before they are measured: garbage from their logins is collected by then.
const rest = 7 * time.Second

// rounds is how often each daemon is measured; the lowest result counts. Work for its sessions shows in every round, while garbage
// collection and other programs' effect on its caches do not.
const rounds = 3

// idlers are the idle sessions of a daemon.
type idlers struct {
	kind   string
	number int
	daemon *daemontest.Daemon
	share  float64 // of a processor, in percent
}

// TestIdleSessions: idle sessions cost nothing, whatever they have open and however many there are.
//
// IDLE_SESSIONS is their number, which is compared with a third of it, and IDLE_SECONDS the duration of each round.
func TestIdleSessions(t *testing.T) {
	sessions, seconds := setting("IDLE_SESSIONS", 300), setting("IDLE_SECONDS", 10)
	nobody := &idlers{kind: none, daemon: idle(t, 0, none)}
	all := []*idlers{nobody}
	for kind := range kindsOfIdle {
		for _, n := range []int{sessions / 3, sessions} {
			if kind != none {
				all = append(all, &idlers{kind: kind, number: n, daemon: idle(t, n, kind)})
			}
		}
	}
	for _, one := range all {
		one.settle(t)
	}
	time.Sleep(rest)
	measure(t, all, time.Duration(seconds)*time.Second)
	for _, one := range all {
		fmt.Printf("IDLE %d sessions, %s: %.3f %% of a processor\n", one.number, one.kind, one.share)
	}
	// 300 sessions that are checked all the time cost 0.3 where a daemon without sessions costs 0.05. If a machine takes
	// twice as much for that, timers that wake a thread also cost twice as much, and vary as much: 0.10 was seen there, with
	// less for 300 sessions.
	most := max(0.05, 1.5*nobody.share)
	for _, one := range all {
		if more := one.share - nobody.share; more > most {
			t.Errorf("%d sessions, %s: %.3f %% of a processor more than none", one.number, one.kind, more)
		}
		for _, fewer := range all {
			if more := one.share - fewer.share; one.kind == fewer.kind && one.number > fewer.number && more > most {
				t.Errorf("%d sessions, %s: %.3f %% of a processor more than %d", one.number, one.kind, more, fewer.number)
			}
		}
	}
}

// measure measures the CPU share of each daemon, all at the same time.
func measure(t *testing.T, all []*idlers, each time.Duration) {
	t.Helper()
	for round := range rounds {
		before, begin := make([]time.Duration, len(all)), make([]time.Time, len(all))
		for i, one := range all {
			before[i], begin[i] = processor(t, one.daemon), time.Now()
		}
		time.Sleep(each)
		for i, one := range all {
			share := 100 * (processor(t, one.daemon) - before[i]).Seconds() / time.Since(begin[i]).Seconds()
			if round == 0 || share < one.share {
				one.share = share
			}
		}
	}
}

// settle waits until every open file has had its first line in the audit log: the next one is minutes away.
func (i *idlers) settle(t *testing.T) {
	t.Helper()
	for end := time.Now().Add(time.Minute); i.kind == withFile && len(i.daemon.Audit(t, "transfer_open")) < i.number; time.Sleep(time.Second) {
		if time.Now().After(end) {
			t.Fatal("not every open file has a line")
		}
	}
}

// idle starts a daemon with idle sessions.
func idle(t *testing.T, n int, kind string) *daemontest.Daemon {
	t.Helper()
	key, _ := configtest.Key(t)
	dir := endpoint(t)
	dir.Listener.Limits.MaxConnections, dir.Listener.Limits.MaxConnectionsPerUser = n+10, n+10
	dir.AddUser("idle", "", key.PublicKey())
	d := start(t, dir)
	for range n {
		kindsOfIdle[kind](t, d.MustDial(t, "idle", ssh.PublicKeys(key)))
	}
	return d
}
