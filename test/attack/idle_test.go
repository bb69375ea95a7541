package attack

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/sftp-operator/sftp-operator/sftpd/contract/config/configtest"
	"github.com/sftp-operator/sftp-operator/sftpd/daemon/daemontest"
)

// none is without sessions.
const none = "none"

// kindsOfIdle are what a session may leave open that does nothing.
var kindsOfIdle = map[string]func(t *testing.T, c *ssh.Client){
	none:        nil,
	"logged in": func(*testing.T, *ssh.Client) {},
	"with SFTP": func(t *testing.T, c *ssh.Client) { t.Helper(); _ = daemontest.StartSFTP(t, c) },
	"with an open file": func(t *testing.T, c *ssh.Client) {
		t.Helper()
		if _, err := daemontest.StartSFTP(t, c).OpenFile("/open", os.O_RDWR|os.O_CREATE); err != nil {
			t.Error(err)
		}
	},
}

// setting is a number of the environment.
func setting(name string, otherwise int) int {
	if n, err := strconv.Atoi(os.Getenv(name)); err == nil {
		return n
	}
	return otherwise
}

// processor is the time that a process has used, to the nanosecond: the first number of each thread's schedstat (proc.rst of
// the kernel). /proc/<pid>/stat has hundredths of a second.
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

// rest is how long idle sessions wait before they are measured: what their logins left is collected, and files that stay open
// have had their first line.
const rest = 17 * time.Second

// TestIdleSessions: sessions that do nothing cost nothing, whatever they have open and however many there are.
//
// IDLE_SESSIONS is how many there are, and IDLE_SECONDS for how long is measured.
func TestIdleSessions(t *testing.T) {
	sessions, seconds := setting("IDLE_SESSIONS", 300), setting("IDLE_SECONDS", 10)
	var mu sync.Mutex
	shares := map[string]float64{}
	t.Run("all", func(t *testing.T) {
		for kind, open := range kindsOfIdle {
			t.Run(kind, func(t *testing.T) {
				t.Parallel()
				n := sessions
				if kind == none {
					n = 0
				}
				d := idle(t, n, open)
				collections := metrics(t, d)["go_gc_duration_seconds_count"]
				before, begin := processor(t, d), time.Now()
				var used []time.Duration // in each second
				for last := before; len(used) < seconds; {
					time.Sleep(time.Second)
					now := processor(t, d)
					used, last = append(used, (now-last).Round(10*time.Microsecond)), now
				}
				share := 100 * (processor(t, d) - before).Seconds() / time.Since(begin).Seconds()
				mu.Lock()
				shares[kind] = share
				mu.Unlock()
				fmt.Printf("IDLE %d sessions, %s: %.3f %% of a processor; median %s, most %s in a second; %.0f collections of garbage\n",
					n, kind, share, median(used), slices.Max(used), metrics(t, d)["go_gc_duration_seconds_count"]-collections)
			})
		}
	})
	const most = 0.15 // 300 that are looked at all the time cost 0.3
	for kind, share := range shares {
		if share-shares[none] > most {
			t.Errorf("%d sessions, %s: %.3f %% of a processor more than none", sessions, kind, share-shares[none])
		}
	}
}

// idle starts a daemon with sessions that do nothing.
func idle(t *testing.T, n int, open func(*testing.T, *ssh.Client)) *daemontest.Daemon {
	t.Helper()
	key, _ := configtest.Key(t)
	dir := endpoint(t)
	dir.Listener.Limits.MaxConnections, dir.Listener.Limits.MaxConnectionsPerUser = n+10, n+10
	dir.AddUser("idle", "", key.PublicKey())
	d := start(t, dir)
	for range n {
		open(t, d.MustDial(t, "idle", ssh.PublicKeys(key)))
	}
	time.Sleep(rest)
	return d
}
