package attack

import (
	"encoding/binary"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/pkg/sftp"
	"golang.org/x/crypto/ssh"

	"github.com/sftp-operator/sftp-operator/sftpd/contract/config/configtest"
	"github.com/sftp-operator/sftp-operator/sftpd/daemon/daemontest"
)

// requests sends raw SFTP on a channel: more at a time than any client sends.
type requests struct {
	io.Writer
	io.Reader
}

// channel opens a channel of a connection.
func channel(t *testing.T, c *ssh.Client) requests {
	t.Helper()
	s, err := c.NewSession()
	if err != nil {
		t.Fatal(err)
	}
	in, err := s.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := s.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := s.RequestSubsystem("sftp"); err != nil {
		t.Fatal(err)
	}
	r := requests{in, out}
	r.send(t, 1, binary.BigEndian.AppendUint32(nil, 3)) // INIT
	r.answer(t)
	return r
}

func (r requests) send(t *testing.T, typ byte, body []byte) {
	t.Helper()
	p := binary.BigEndian.AppendUint32(nil, uint32(1+len(body)))
	if _, err := r.Write(append(append(p, typ), body...)); err != nil {
		t.Fatal(err)
	}
}

func (r requests) next() (typ byte, body []byte, err error) {
	var head [5]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return 0, nil, err
	}
	body = make([]byte, binary.BigEndian.Uint32(head[:])-1)
	_, err = io.ReadFull(r, body)
	return head[4], body, err
}

func (r requests) answer(t *testing.T) (typ byte, body []byte) {
	t.Helper()
	typ, body, err := r.next()
	if err != nil {
		t.Fatal(err)
	}
	return typ, body
}

// withID returns the body of a request: its ID, and strings.
func withID(texts ...string) []byte {
	b := binary.BigEndian.AppendUint32(nil, 7)
	for _, s := range texts {
		b = append(binary.BigEndian.AppendUint32(b, uint32(len(s))), s...)
	}
	return b
}

// hash returns a check-file-name request for a range, as one hash.
func hash(path string, length uint64) []byte {
	b := binary.BigEndian.AppendUint64(withID("check-file-name", path, "sha256"), 0)
	return binary.BigEndian.AppendUint32(binary.BigEndian.AppendUint64(b, length), 0)
}

// Types of requests (filexfer-02, section 3).
const (
	removeRequest   = 13
	realpathRequest = 16
	extendedRequest = 200
)

// victim is another user with an open session.
type victim struct {
	user
	files *sftp.Client
}

// pair starts a daemon with ada, who attacks, and bob.
func pair(t *testing.T) (*configtest.Dir, *daemontest.Daemon, victim) {
	t.Helper()
	key, _ := configtest.Key(t)
	dir := endpoint(t)
	dir.AddUser("ada", "secret")
	dir.AddUser("bob", "", key.PublicKey())
	d := start(t, dir)
	files, err := sftp.NewClient(d.MustDial(t, "bob", ssh.PublicKeys(key)))
	if err != nil {
		t.Fatal(err)
	}
	return dir, d, victim{user{d, key}, files}
}

// times are medians: of bob's requests in an open session, of his logins, and of the liveness probe.
type times struct{ stat, login, probe time.Duration }

func (v victim) measure(t *testing.T) times {
	t.Helper()
	var stats, logins, probes []time.Duration
	took := func(work func() error) time.Duration {
		begin := time.Now()
		if err := work(); err != nil {
			t.Fatal(err)
		}
		return time.Since(begin)
	}
	for range 7 {
		stats = append(stats, took(func() error { _, err := v.files.Stat("/"); return err }))
		probes = append(probes, took(func() error { v.Get(t, "/livez"); return nil }))
		logins = append(logins, took(func() error {
			c, err := v.Dial("bob", ssh.PublicKeys(v.key))
			if err == nil {
				err = c.Close()
			}
			return err
		}))
	}
	return times{median(stats), median(logins), median(probes)}
}

// cpu returns the CPU time that the daemon has used (proc_pid_stat(5): in hundredths of a second).
func cpu(t *testing.T, d *daemontest.Daemon) time.Duration {
	t.Helper()
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", d.PID))
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(stat), ") ")
	fields := strings.Fields(rest)
	total := 0
	for _, f := range fields[11:13] {
		n, err := strconv.Atoi(f)
		if err != nil {
			t.Fatal(err)
		}
		total += n
	}
	return time.Duration(total) * 10 * time.Millisecond
}

// TestWorkOfOneLogin: requests that keep the server busy for as long as possible do not delay other sessions, and end with
// their own.
func TestWorkOfOneLogin(t *testing.T) { // not parallel: it measures time
	for _, tc := range []struct {
		name     string
		channels int
		typ      byte
		body     []byte
		each     int
	}{
		{"10 hashes", 10, extendedRequest, hash("/sparse", 0), 1},
		{"100 hashes", 100, extendedRequest, hash("/sparse", 0), 3},
		{"100 walks of links", 100, realpathRequest, withID("/l0"), 2000},
	} {
		t.Run(tc.name, func(t *testing.T) {
			dir, d, bob := pair(t)
			linkBomb(t, dir.Home("ada"))
			if err := os.WriteFile(filepath.Join(dir.Home("ada"), "sparse"), nil, 0o600); err != nil {
				t.Fatal(err)
			}
			if err := os.Truncate(filepath.Join(dir.Home("ada"), "sparse"), 1<<40); err != nil {
				t.Fatal(err)
			}
			without := bob.measure(t)
			for i := range tc.channels {
				if i%10 == 0 {
					attack(t, d, min(10, tc.channels-i), tc.typ, tc.body, tc.each)
				}
			}
			busy := cpu(t, d)
			begin := time.Now()
			with := bob.measure(t)
			t.Logf("LOAD %s: STAT %.1f -> %.1f ms, login %.0f -> %.0f ms, /livez %.1f -> %.1f ms", tc.name,
				ms(without.stat), ms(with.stat), ms(without.login), ms(with.login), ms(without.probe), ms(with.probe))
			if used := cpu(t, d) - busy; used < time.Since(begin)/time.Duration(10*daemontest.Second().Seconds()) {
				t.Errorf("the attack uses %s of processor time in %s, which is not an attack", used, time.Since(begin))
			}
			if limit := max(daemontest.Second(), 10*without.login); with.login > limit || with.stat > limit/2 || with.probe > limit/2 {
				t.Errorf("%+v with the attack, %+v without", with, without)
			}
			dir.Remove("ada")
			d.Reload(t, dir)
			judge(t, func() string { // with less CPU, the rest is done later
				time.Sleep(100 * time.Millisecond)
				busy = cpu(t, d)
				time.Sleep(time.Second)
				if after := cpu(t, d) - busy; after > 300*time.Millisecond {
					return fmt.Sprintf("0.1 s after the user was removed the daemon still works: %s in a second", after)
				}
				return ""
			})
		})
	}
}

// attack sends requests on channels of a connection of ada's.
func attack(t *testing.T, d *daemontest.Daemon, channels int, typ byte, body []byte, each int) {
	t.Helper()
	c := d.MustDial(t, "ada", ssh.Password("secret"))
	for range channels {
		ch := channel(t, c)
		go func() { _, _ = io.Copy(io.Discard, ch) }() // until the connection ends
		for range each {
			ch.send(t, typ, body)
		}
	}
}

// linkBomb creates links, each of which leads through a directory and back 800 times, and then to the next.
func linkBomb(t *testing.T, home string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Join(home, "d"), 0o700); err != nil {
		t.Fatal(err)
	}
	for i := range 38 {
		target := strings.Repeat("d/../", 800) + "l" + strconv.Itoa(i+1)
		if err := os.Symlink(target, filepath.Join(home, "l"+strconv.Itoa(i))); err != nil {
			t.Fatal(err)
		}
	}
}

// TestHashesAreLogged: the hash of one byte reveals that byte, so each one is logged.
func TestHashesAreLogged(t *testing.T) {
	t.Parallel()
	dir, d, _ := pair(t)
	if err := os.MkdirAll(dir.Home("ada"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir.Home("ada"), "f"), []byte("secret"), 0o600); err != nil {
		t.Fatal(err)
	}
	ch := channel(t, d.MustDial(t, "ada", ssh.Password("secret")))
	for range 2 {
		ch.send(t, extendedRequest, hash("/f", 1))
		ch.answer(t)
	}
	line := d.WaitAudit(t, "operation", 2)
	if line["operation"] != "check-file-name" || line["path"] != "/f" || line["bytes_read"] != 1.0 || line["result"] != "ok" {
		t.Errorf("line %v", line)
	}
	if n := metrics(t, d)["sftpd_hashed_bytes_total"]; n != 2 {
		t.Errorf("metric %v", n)
	}
}

// TestLogOfOneLogin: failures that come too fast to be logged individually are counted, none is lost, no line is split by the
// container runtime, and other users do not wait.
func TestLogOfOneLogin(t *testing.T) { // not parallel: it measures time
	dir, d, bob := pair(t)
	const during = 3 * time.Second
	c := d.MustDial(t, "ada", ssh.Password("secret"))
	body := withID("/" + strings.Repeat("\x7f", 250) + strings.Repeat("/"+strings.Repeat("\x7f", 250), 14))
	var answered atomic.Int64
	begin := time.Now()
	done := make(chan struct{})
	for range 4 {
		ch := channel(t, c)
		go func() {
			defer func() { done <- struct{}{} }()
			for time.Since(begin) < during {
				for range 50 {
					ch.send(t, removeRequest, body)
				}
				for range 50 {
					if _, _, err := ch.next(); err == nil {
						answered.Add(1)
					}
				}
			}
		}()
	}
	var mkdirs []time.Duration
	for i := range 100 {
		at := time.Now()
		if err := bob.files.Mkdir("/" + strconv.Itoa(i)); err != nil {
			t.Error(err)
		}
		mkdirs = append(mkdirs, time.Since(at))
		time.Sleep(10 * time.Millisecond)
	}
	for range 4 {
		<-done
	}
	took := time.Since(begin)
	removed := time.Now()
	dir.Remove("ada")
	d.Reload(t, dir)
	d.WaitAudit(t, "logout", 1)
	t.Logf("LOAD log: %d failures in %s, %.3f MB/s of audit log; MKDIR of another user %.1f ms; revocation %.0f ms",
		answered.Load(), took, float64(len(d.RawAudit()))/took.Seconds()/1e6, ms(median(mkdirs)), ms(time.Since(removed)))
	for line := range strings.Lines(d.RawAudit()) {
		if len(line) >= 16<<10 {
			t.Errorf("a line of %d bytes", len(line))
		}
	}
	lines, counted := 0, 0
	for _, line := range d.Audit(t, "operation") {
		if line["user"] != "ada" {
			continue
		}
		if lines++; line["operation"] != "remove" || line["result"] != "failed" {
			t.Errorf("line %v", line)
		}
		if n, ok := line["count"].(float64); ok {
			counted += int(n)
		} else {
			counted++
		}
	}
	if counted != int(answered.Load()) {
		t.Errorf("the log has %d failures, the client had %d", counted, answered.Load())
	}
	if most := 40 + 15*int(took.Seconds()+1); lines > most {
		t.Errorf("%d lines in %s", lines, took)
	}
}
