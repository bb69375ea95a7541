package attack

import (
	"crypto/ed25519"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"

	"github.com/pkg/sftp"
	"golang.org/x/crypto/ssh"

	"github.com/sftp-operator/sftp-operator/sftpd/contract/config"
	"github.com/sftp-operator/sftp-operator/sftpd/contract/config/configtest"
	"github.com/sftp-operator/sftp-operator/sftpd/daemon/daemontest"
)

// slot is the number of bytes of a file that belong to each writer.
const slot = 16

// writer is one handle, on its own connection.
type writer struct {
	number int
	daemon int
	file   *sftp.File
	wrote  string // what WRITE reported as OK, at number*slot
}

// writers is a file that several writers write at random, and the model of its required content.
type writers struct {
	t       *testing.T
	signer  ssh.Signer
	dir     *configtest.Dir
	name    string
	daemons []*daemontest.Daemon
	clients [][]*sftp.Client // of each daemon
	open    []*writer
	model   map[int64]byte // bytes that a successful CLOSE promised

	opened, refused, closed, killed int
}

// TestWritersOnTwoDaemons: 2, 4 and 8 writers open one name with random flags, write, close and disconnect, on one daemon and
// on two over one directory, which are killed in between. Bytes whose WRITE was OK are never lost once the CLOSE was OK.
// WRITER_ROUNDS is the number of files to try.
func TestWritersOnTwoDaemons(t *testing.T) {
	t.Parallel()
	rounds := 12
	if n, err := strconv.Atoi(os.Getenv("WRITER_ROUNDS")); err == nil {
		rounds = n
	}
	var all writers // what happened in all cases: in one with few writers a daemon may not be killed
	t.Cleanup(func() {
		if all.opened == 0 || all.refused == 0 || all.closed == 0 || all.killed == 0 {
			t.Error("the cases are not the intended ones")
		}
	})
	for _, incomplete := range []string{config.IncompleteKeep, config.IncompleteDelete} {
		for _, daemons := range []int{1, 2} {
			for _, n := range []int{2, 4, 8} {
				t.Run(fmt.Sprintf("%s/%d daemons/%d writers", incomplete, daemons, n), func(t *testing.T) {
					dir := endpoint(t)
					dir.Listener.Uploads = config.Uploads{Publish: config.PublishOnClose, Incomplete: incomplete}
					signer, err := newSigner()
					if err != nil {
						t.Fatal(err)
					}
					dir.AddUser("ada", "", signer.PublicKey())
					w := &writers{t: t, dir: dir, signer: signer, daemons: make([]*daemontest.Daemon, daemons), clients: make([][]*sftp.Client, daemons)}
					for i := range daemons {
						w.start(i, n)
					}
					for round := range rounds {
						w.round(fmt.Sprintf("f%d", round), n)
					}
					t.Logf("%d rounds: %d opened, %d refused, %d closed with OK, %d daemons killed, 0 bytes lost", rounds, w.opened, w.refused, w.closed, w.killed)
					all.opened, all.refused, all.closed, all.killed = all.opened+w.opened, all.refused+w.refused, all.closed+w.closed, all.killed+w.killed
				})
			}
		}
	}
}

func newSigner() (ssh.Signer, error) { // a password would cost each connection 20 ms and more
	_, key, err := ed25519.GenerateKey(nil)
	if err != nil {
		return nil, err
	}
	return ssh.NewSignerFromKey(key)
}

func (w *writers) start(i, n int) {
	w.t.Helper()
	w.daemons[i] = start(w.t, w.dir)
	w.clients[i] = make([]*sftp.Client, n)
	for j := range w.clients[i] {
		w.connect(i, j)
	}
}

func (w *writers) connect(i, j int) {
	w.t.Helper()
	conn, err := ssh.Dial("tcp", w.daemons[i].Addr, &ssh.ClientConfig{
		User: "ada", Auth: []ssh.AuthMethod{ssh.PublicKeys(w.signer)}, HostKeyCallback: ssh.InsecureIgnoreHostKey(),
	})
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { conn.Close() })
	if w.clients[i][j], err = sftp.NewClient(conn); err != nil {
		w.t.Fatal(err)
	}
}

var flagsOfWriters = []int{
	os.O_CREATE | os.O_TRUNC, os.O_CREATE | os.O_TRUNC, os.O_CREATE, os.O_CREATE, os.O_CREATE | os.O_EXCL, os.O_TRUNC, 0,
}

func (w *writers) round(name string, n int) {
	w.name, w.open, w.model = name, nil, map[int64]byte{}
	if rand.IntN(2) == 0 {
		w.put(n)
	}
	for range 6 * n {
		switch k := rand.IntN(100); {
		case k < 35 && len(w.open) < n:
			w.begin(n)
		case k < 70 && len(w.open) > 0:
			w.write(w.open[rand.IntN(len(w.open))])
		case k < 96 && len(w.open) > 0:
			w.end(rand.IntN(len(w.open)))
		case k >= 97:
			w.kill(rand.IntN(len(w.daemons)), n)
		}
	}
	for len(w.open) > 0 {
		w.end(0)
	}
}

// put creates the file in one go.
func (w *writers) put(n int) {
	content := make([]byte, n*slot)
	for i := range content {
		content[i] = 'p'
		w.model[int64(i)] = 'p'
	}
	f, err := w.clients[0][0].OpenFile(w.name, os.O_WRONLY|os.O_CREATE|os.O_TRUNC)
	if err != nil {
		w.t.Fatal(err)
	}
	if _, err := f.Write(content); err != nil {
		w.t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		w.t.Fatal(err)
	}
}

func (w *writers) begin(n int) {
	used := map[int]bool{}
	for _, o := range w.open {
		used[o.number] = true
	}
	number := rand.IntN(n)
	for used[number] {
		number = (number + 1) % n
	}
	o := &writer{number: number, daemon: rand.IntN(len(w.daemons))}
	flags := flagsOfWriters[rand.IntN(len(flagsOfWriters))]
	f, err := w.clients[o.daemon][number].OpenFile(w.name, os.O_WRONLY|flags)
	if err != nil {
		w.refused++
		return
	}
	w.opened++
	o.file = f
	w.open = append(w.open, o)
	if flags&os.O_TRUNC != 0 {
		// The old content is given up: at once where the file is shared, otherwise with CLOSE.
		clear(w.model)
	}
}

func (w *writers) write(o *writer) {
	text := make([]byte, slot)
	for i := range text {
		text[i] = byte('a' + rand.IntN(26))
	}
	if _, err := o.file.WriteAt(text, int64(o.number*slot)); err != nil {
		w.t.Fatalf("%s: write: %v", w.name, err)
	}
	o.wrote = string(text)
}

// end closes a writer's handle, and checks that everything promised is in the file.
func (w *writers) end(i int) {
	o := w.open[i]
	w.open = append(w.open[:i], w.open[i+1:]...)
	if err := o.file.Close(); err != nil {
		w.t.Fatalf("%s: close: %v", w.name, err)
	}
	w.closed++
	for k := range o.wrote {
		w.model[int64(o.number*slot+k)] = o.wrote[k]
	}
	w.check("after a CLOSE")
}

func (w *writers) check(when string) {
	w.t.Helper()
	// Other writers of the same slot may have written in place since.
	content, err := os.ReadFile(filepath.Join(w.dir.Home("ada"), w.name))
	if err != nil && len(w.model) > 0 {
		w.t.Fatalf("%s %s: %v", w.name, when, err)
	}
	busy := map[int]bool{}
	for _, o := range w.open {
		busy[o.number] = true
	}
	for at, want := range w.model {
		if !busy[int(at)/slot] && (at >= int64(len(content)) || content[at] != want) {
			w.t.Fatalf("%s %s: byte %d of %q is not %q", w.name, when, at, content, want)
		}
	}
}

// kill ends a daemon with SIGKILL, and starts another one in its place. Its writers are gone.
func (w *writers) kill(i, n int) {
	w.killed++
	if err := syscall.Kill(w.daemons[i].PID, syscall.SIGKILL); err != nil {
		w.t.Fatal(err)
	}
	<-w.daemons[i].Done()
	content, _ := os.ReadFile(filepath.Join(w.dir.Home("ada"), w.name)) // no file means no content
	var left []*writer
	for _, o := range w.open {
		at := o.number * slot
		switch {
		case o.daemon != i:
			left = append(left, o)
		case o.wrote != "" && len(content) >= at+slot && string(content[at:at+slot]) == o.wrote:
			for k := range o.wrote { // it was part of the file already, which a kill does not change
				w.model[int64(at+k)] = o.wrote[k]
			}
		}
	}
	w.open = left
	w.start(i, n)
	w.check("after a kill")
}
