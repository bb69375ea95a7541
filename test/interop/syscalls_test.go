package interop

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/sftp-operator/sftp-operator/sftpd/contract/config/configtest"
	"github.com/sftp-operator/sftp-operator/sftpd/daemon/daemontest"
)

// TestSystemCalls: OpenSSH's client moves 256 MiB in each direction, in its packets of 255 KiB, and the daemon needs few system
// calls, whereas a server without large buffers needs 170,000 per GiB. The number depends on how the packets arrive, so the
// bound is generous.
func TestSystemCalls(t *testing.T) {
	const size, mostPerGiB = 256 << 20, 90_000
	key, pem := configtest.Key(t)
	dir := configtest.New(t)
	dir.AddUser("ada", "", key.PublicKey())
	d := daemontest.StartProgram(t, dir, server)
	o := knowing(t, d, dir)
	local := filepath.Join(t.TempDir(), "big")
	f, err := os.Create(local)
	if err == nil {
		_, err = io.CopyN(f, zeros{}, size)
	}
	if err != nil || f.Close() != nil {
		t.Fatal(err)
	}
	options := append(o.identity(t, pem), "-b", "-")
	for _, batch := range []string{"put " + local + " big\n", "get big " + local + ".back\n"} {
		before := systemCalls(t, d.PID)
		o.run(t, "sftp", "ada", "", batch, options).ok(t)
		perGiB := (systemCalls(t, d.PID) - before) * ((1 << 30) / size)
		t.Logf("%s: %d calls of read and write per GiB", batch[:3], perGiB)
		if perGiB > mostPerGiB {
			t.Errorf("%s: %d calls of read and write per GiB", batch[:3], perGiB)
		}
	}
	for _, name := range []string{local + ".back", filepath.Join(dir.Home("ada"), "big")} {
		if st, err := os.Stat(name); err != nil || st.Size() != size {
			t.Errorf("%v, %v", st, err)
		}
	}
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}

// systemCalls returns how often a process has called read, write and similar functions, on files and sockets (proc_pid_io(5)).
func systemCalls(t *testing.T, pid int) (n int) {
	t.Helper()
	content, err := os.ReadFile(fmt.Sprintf("/proc/%d/io", pid))
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(content)) {
		var calls int
		for _, name := range []string{"syscr", "syscw"} {
			if _, err := fmt.Sscanf(line, name+": %d", &calls); err == nil {
				n += calls
			}
		}
	}
	if n == 0 {
		t.Fatalf("no system calls in %s", content)
	}
	return n
}
