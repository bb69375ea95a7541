package interop

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"golang.org/x/sys/unix"
)

// sizes are the file lengths for the round trips: around the payload of one request of most clients, and long enough to fill
// every window many times.
var sizes = []int64{0, 1, 32767, 32768, 32769, 1<<20 + 1, large}

const (
	large = 300 << 20
	// medium replaces large for clients that need ten seconds of CPU for that: interpreters that encrypt, and a virtual machine
	// before just-in-time compilation. It also fills their windows several times.
	medium = 32 << 20
)

// big is a few requests long.
const big = "f-1048577"

// fixtures is the directory of the files of all sizes, created once for all tests. TestMain removes it.
var fixtures struct {
	sync.Once
	dir  string
	many []string // names in the directory many
	sums map[string]string
	err  error
}

// bring places files of certain sizes in a directory, as hard links where that is possible.
func bring(t *testing.T, dir string, names ...string) {
	t.Helper()
	fixtures.Do(makeFixtures)
	if fixtures.err != nil {
		t.Fatal(fixtures.err)
	}
	for _, name := range names {
		from, to := filepath.Join(fixtures.dir, name), filepath.Join(dir, name)
		if err := os.Link(from, to); err == nil {
			continue
		}
		if err := copyFile(from, to); err != nil {
			t.Fatal(err)
		}
	}
}

func copyFile(from, to string) error {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o644) // as cp does: os.Create would also open for reading
	if err != nil {
		return err
	}
	if _, err := io.Copy(out, in); err != nil {
		out.Close()
		return err
	}
	return out.Close()
}

// manyEntries returns a directory, and the sorted names in it.
func manyEntries(t *testing.T) (dir string, names []string) {
	t.Helper()
	fixtures.Do(makeFixtures)
	if fixtures.err != nil {
		t.Fatal(fixtures.err)
	}
	return filepath.Join(fixtures.dir, "many"), fixtures.many
}

func makeMany() error {
	dir := filepath.Join(fixtures.dir, "many")
	if err := os.Mkdir(dir, 0o755); err != nil {
		return err
	}
	for i := range 20000 {
		name := fmt.Sprintf("entry-%05d", i)
		fixtures.many = append(fixtures.many, name)
		if err := os.WriteFile(filepath.Join(dir, name), nil, 0o600); err != nil {
			return err
		}
	}
	return nil
}

func makeFixtures() {
	fixtures.sums = map[string]string{}
	if fixtures.dir, fixtures.err = os.MkdirTemp("", "interop-files"); fixtures.err != nil {
		return
	}
	if fixtures.err = makeMany(); fixtures.err != nil {
		return
	}
	for _, size := range append([]int64{medium}, sizes...) {
		if fixtures.err = makeFixture(size); fixtures.err != nil {
			return
		}
	}
}

func makeFixture(size int64) error {
	name := fmt.Sprintf("f-%d", size)
	f, err := os.OpenFile(filepath.Join(fixtures.dir, name), os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	defer f.Close()
	// Random bytes, so that no two requests for a file carry the same data.
	data, hash := bufio.NewReaderSize(rand.NewChaCha8([32]byte{byte(size)}), 1<<20), sha256.New()
	if _, err := io.CopyN(io.MultiWriter(f, hash), data, size); err != nil {
		return err
	}
	fixtures.sums[name] = hex.EncodeToString(hash.Sum(nil))
	return f.Close()
}

func write(t *testing.T, file, data string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, []byte(data), 0o600); err != nil {
		t.Fatal(err)
	}
}

func read(t *testing.T, file string) string {
	t.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// linkTarget is what the link in a tree points to.
const linkTarget = "with space"

// makeTree creates a directory of files, directories and a link.
func makeTree(t *testing.T, dir string) {
	t.Helper()
	data := make([]byte, 1<<20+1)
	_, _ = rand.NewChaCha8([32]byte{1}).Read(data) // never fails
	for name, data := range map[string]string{
		"empty": "", "sub/big": string(data), "sub/deep/one": "1", linkTarget: "space\n", "naïve ☃": "snow\n",
	} {
		write(t, filepath.Join(dir, name), data)
	}
	symlinkAfter(t, linkTarget, dir)
}

// symlinkAfter creates a link that cp copies after its target, because cp goes by inode numbers. In version 3 of the protocol,
// setting the times of a link affects its target, so that cp over sshfs fails if the target does not exist yet, also with
// OpenSSH's server.
func symlinkAfter(t *testing.T, target, dir string) {
	t.Helper()
	inode := func(name string) uint64 {
		var st unix.Stat_t
		must(t, unix.Lstat(name, &st))
		return st.Ino
	}
	link := filepath.Join(dir, "link")
	after := inode(filepath.Join(dir, target))
	var early []string // they take the free numbers below
	for must(t, os.Symlink(target, link)); inode(link) < after; must(t, os.Symlink(target, link)) {
		early = append(early, filepath.Join(dir, fmt.Sprintf("early-%d", len(early))))
		must(t, os.Rename(link, early[len(early)-1]))
	}
	for _, name := range early {
		must(t, os.Remove(name))
	}
}

// sums describes a tree: the hash of every file, the target of every link.
func sums(t *testing.T, root string) map[string]string {
	t.Helper()
	found := map[string]string{}
	err := filepath.WalkDir(root, func(file string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name, err := filepath.Rel(root, file)
		switch {
		case err != nil:
			return err
		case e.IsDir():
			found[name] = "directory"
		case e.Type() == fs.ModeSymlink:
			found[name], err = os.Readlink(file)
			return err
		default:
			found[name] = fileSum(t, file)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}

func fileSum(t *testing.T, file string) string {
	t.Helper()
	f, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	hash := sha256.New()
	if _, err := io.Copy(hash, f); err != nil {
		t.Fatal(err)
	}
	return hex.EncodeToString(hash.Sum(nil))
}

func sum(data string) string { return fmt.Sprintf("%x", sha256.Sum256([]byte(data))) }

// sameTrees compares two trees. have may differ from want in the treatment of the link.
func sameTrees(t *testing.T, have, want string, l links, down bool) {
	t.Helper()
	h, w := sums(t, have), sums(t, want)
	if _, ok := w["link"]; ok {
		if l == linksFollowedOnServer {
			l = linksLeftOut
			if down {
				l = linksFollowed
			}
		}
		switch l {
		case linksLeftOut:
			delete(w, "link")
		case linksFollowed:
			w["link"] = w[linkTarget]
		default:
		}
	}
	if !maps.Equal(h, w) {
		t.Errorf("the trees differ: %s has\n%v\nand %s\n%v", have, h, want, w)
	}
}

// holds checks that a file has these bytes.
func holds(t *testing.T, file, want string) {
	t.Helper()
	if have := fileSum(t, file); have != sum(want) {
		t.Errorf("%s has SHA-256 %s, want %s of %d bytes", file, have, sum(want), len(want))
	}
}

// sameFiles returns an error unless two files have the same content.
func sameFiles(have, want string) error {
	h, err := os.ReadFile(have)
	if err != nil {
		return err
	}
	w, err := os.ReadFile(want)
	if err != nil {
		return err
	}
	if !bytes.Equal(h, w) {
		return fmt.Errorf("%s has %d bytes and differs from %s with %d", have, len(h), want, len(w))
	}
	return nil
}
