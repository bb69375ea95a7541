package interop

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/crypto/ssh"
	"golang.org/x/sys/unix"
)

// fileZillaDriver returns the driver for the program that FileZilla runs for SFTP. The test plays FileZilla's window: it
// answers fzsftp's questions, and reads and writes the local files, whose data both sides exchange through shared memory.
func fileZillaDriver() *driver {
	const oneFile = "copies single files; FileZilla's window walks through directories"
	return &driver{
		name: "FileZilla fzsftp", tools: []string{"fzsftp", "puttygen"},
		setUp:  puttyKey,
		copy:   copier{fzEach("put"), fzEach("get")},
		resume: copier{fzEach("reput"), fzEach("reget")},
		keepTime: copier{put: func(a *account, files ...pair) error {
			return fzAfter(a, files, func(st os.FileInfo) string { return fmt.Sprintf("chmtime %d", st.ModTime().Unix()) })
		}},
		keepMode: copier{put: func(a *account, files ...pair) error {
			return fzAfter(a, files, func(st os.FileInfo) string { return fmt.Sprintf("chmod %o", st.Mode().Perm()) })
		}},
		rename: func(a *account, from, to string) error {
			return fz(a, func(f *fzsftp) error { return f.do("mv " + puttyQuote(from) + " " + puttyQuote(to)) })
		},
		list: func(a *account, dir string) (names []string, err error) {
			err = fz(a, func(f *fzsftp) error {
				err := errors.Join(f.do("cd "+puttyQuote(dir)), f.do("ls"))
				names = f.names
				return err
			})
			return names, err
		},
		lacks: map[string]string{
			"mirror up": oneFile, "mirror down": oneFile, "mirror again: only what changed, delete what is gone": oneFile,
			"append":                            "no command; its reput continues after the existing content, which must be the beginning of the file",
			"rename over a file":                "its mv sends only SSH_FXP_RENAME, which never replaces a file",
			"time kept, download":               "reports the modification time; FileZilla's window sets it",
			"mode kept, download":               "shows permissions only in listings",
			"size of the file system (statvfs)": "no command",
		},
	}
}

// fzsftp is a running fzsftp process. Its protocol is that of src/engine/sftp and src/putty in FileZilla 3.63.
type fzsftp struct {
	account *account
	cmd     *exec.Cmd
	in      io.WriteCloser
	out     *bufio.Reader
	said    strings.Builder // for errors

	memory []byte
	file   *os.File // the local file of the current transfer
	up     bool
	resume bool

	names []string // of a listing
}

// fzBuffer is the amount of data passed at once, and fzMemory the descriptor of the shared memory in fzsftp.
const (
	fzBuffer = 256 << 10
	fzMemory = 3
)

// fzsftpPath returns FileZilla's program if it is installed, or else the one that hack/install-packages.sh extracted from its
// package.
func fzsftpPath() string {
	if path, err := exec.LookPath("fzsftp"); err == nil {
		return path
	}
	cache, err := cacheDir()
	if err != nil {
		return ""
	}
	return filepath.Join(cache, "filezilla/usr/bin/fzsftp")
}

// fz runs fzsftp, logs in, and calls a function.
func fz(a *account, do func(*fzsftp) error) (err error) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	fd, err := unix.MemfdCreate("fzsftp", unix.MFD_CLOEXEC)
	if err != nil {
		return err
	}
	shared := os.NewFile(uintptr(fd), "fzsftp")
	defer shared.Close()
	if err := shared.Truncate(fzBuffer); err != nil {
		return err
	}
	f := &fzsftp{account: a, cmd: a.command(ctx, fzsftpPath(), "-v")}
	if f.memory, err = unix.Mmap(fd, 0, fzBuffer, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, unix.Munmap(f.memory)) }()
	f.cmd.ExtraFiles = []*os.File{shared}
	if f.in, err = f.cmd.StdinPipe(); err != nil {
		return err
	}
	out, err := f.cmd.StdoutPipe()
	if err != nil {
		return err
	}
	f.out = bufio.NewReader(out)
	if err := f.cmd.Start(); err != nil {
		return err
	}
	defer func() {
		f.in.Close()
		// It exits at the end of its input, not always successfully.
		_ = f.cmd.Wait()
		if err != nil {
			err = fmt.Errorf("fzsftp: %w (%v)\n%s", err, f.cmd.ProcessState, f.said.String())
		}
	}()
	if err := f.login(); err != nil {
		return err
	}
	return do(f)
}

func (f *fzsftp) login() error {
	if _, err := f.reply(); err != nil { // its greeting
		return err
	}
	if f.account.key != "" {
		if err := f.do("keyfile " + puttyQuote(filepath.Join(f.account.clientHome, "id.ppk"))); err != nil {
			return err
		}
	}
	return f.do("open " + puttyQuote(f.account.user+"@"+f.account.host) + " " + f.account.port)
}

// do runs one command.
func (f *fzsftp) do(command string) error {
	if err := f.send(command); err != nil {
		return err
	}
	ok, err := f.reply()
	if err == nil && !ok {
		err = fmt.Errorf("%s failed", command)
	}
	return err
}

func (f *fzsftp) send(line string) error {
	_, err := io.WriteString(f.in, line+"\n")
	return err
}

// Events of fzsftp: a character, followed by a line for most of them.
const (
	fzReply       = '0'
	fzDone        = '1'
	fzListEntry   = '8'
	fzAskHostKey  = '9'
	fzAskPassword = '<'
	fzQuotaRecv   = '@'
	fzQuotaSend   = 'A'
	fzHostKey     = 'I'
	fzIOSize      = 'J'
	fzIOOpen      = 'K'
	fzIONext      = 'L'
	fzIOFinal     = 'M'
)

// reply handles events until the current command has finished.
func (f *fzsftp) reply() (ok bool, err error) {
	trusted := false
	for {
		event, err := f.out.ReadByte()
		if err != nil {
			return false, err
		}
		if event == fzQuotaRecv || event == fzQuotaSend { // no line follows
			if err := f.send(fmt.Sprintf("-%d-", event-fzQuotaRecv)); err != nil { // no limit
				return false, err
			}
			continue
		}
		line, err := f.line()
		if err != nil {
			return false, err
		}
		fmt.Fprintf(&f.said, "%c%s\n", event, line)
		switch event {
		case fzReply:
			return true, nil
		case fzDone:
			return line == "1", nil
		case fzHostKey:
			trusted = strings.HasSuffix(line, ssh.FingerprintSHA256(f.account.hostKey))
		case fzAskHostKey:
			err = f.answerHostKey(trusted)
		case fzAskPassword:
			err = f.send(f.account.password)
		case fzListEntry:
			err = f.entry()
		case fzIOSize, fzIOOpen, fzIONext, fzIOFinal:
			err = f.io(event, line)
		}
		if err != nil {
			return false, err
		}
	}
}

func (f *fzsftp) line() (string, error) {
	line, err := f.out.ReadString('\n')
	return strings.TrimSuffix(line, "\n"), err
}

func (f *fzsftp) answerHostKey(trusted bool) error {
	if _, err := f.line(); err != nil { // the port, after the host
		return err
	}
	if trusted {
		return f.send("n") // but do not store it
	}
	return f.send("")
}

// entry reads a listing entry: the long line, then a time and the name, without the characters of their events.
func (f *fzsftp) entry() error {
	if _, err := f.line(); err != nil {
		return err
	}
	name, err := f.line()
	if err != nil {
		return err
	}
	if name != "." && name != ".." {
		f.names = append(f.names, name)
	}
	return nil
}

// io does what FileZilla's window does with the local file.
func (f *fzsftp) io(event byte, argument string) error {
	n, err := strconv.ParseUint(argument, 10, 64)
	if err != nil {
		return err
	}
	switch event {
	case fzIOSize:
		st, err := f.file.Stat()
		if err != nil {
			return err
		}
		return f.send(fmt.Sprintf("-%d", st.Size()))
	case fzIOOpen:
		whence := io.SeekStart
		if !f.up && f.resume {
			n, whence = 0, io.SeekEnd
		}
		at, err := f.file.Seek(int64(n), whence)
		if err != nil {
			return err
		}
		return f.send(fmt.Sprintf("-%d %d %d", fzMemory, fzBuffer, at))
	case fzIONext:
		if !f.up {
			if _, err := f.file.Write(f.memory[:n]); err != nil {
				return err
			}
			return f.send(fmt.Sprintf("-0 %d", fzBuffer))
		}
		read, err := io.ReadFull(f.file, f.memory)
		if read == 0 {
			return f.send("-")
		}
		if err != nil && !errors.Is(err, io.ErrUnexpectedEOF) {
			return err
		}
		return f.send(fmt.Sprintf("-0 %d", read))
	default: // the last block of a download
		if _, err := f.file.Write(f.memory[:n]); err != nil {
			return err
		}
		return f.send("-1")
	}
}

// fzEach runs a command for each file. The name says which side is local.
func fzEach(command string) func(*account, ...pair) error {
	up, resume := strings.HasSuffix(command, "put"), strings.HasPrefix(command, "re")
	return func(a *account, files ...pair) error {
		return fz(a, func(f *fzsftp) error {
			for _, p := range files {
				if err := f.transfer(command, p, up, resume); err != nil {
					return err
				}
			}
			return nil
		})
	}
}

func (f *fzsftp) transfer(command string, p pair, up, resume bool) (err error) {
	name, flags := p.to, os.O_WRONLY|os.O_CREATE
	switch {
	case up:
		name, flags = p.from, os.O_RDONLY
	case !resume:
		flags |= os.O_TRUNC
	}
	f.up, f.resume = up, resume
	if f.file, err = os.OpenFile(f.account.here(name), flags, 0o600); err != nil {
		return err
	}
	err = f.do(command + " " + puttyQuote(p.from) + " " + puttyQuote(p.to))
	return errors.Join(err, f.file.Close())
}

// fzAfter uploads files, and sends a command about each one afterwards, as FileZilla's window does.
func fzAfter(a *account, files []pair, command func(os.FileInfo) string) error {
	return fz(a, func(f *fzsftp) error {
		for _, p := range files {
			st, err := os.Stat(a.here(p.from))
			if err != nil {
				return err
			}
			if err := f.transfer("put", p, true, false); err != nil {
				return err
			}
			if err := f.do(command(st) + " " + puttyQuote(p.to)); err != nil {
				return err
			}
		}
		return nil
	})
}
