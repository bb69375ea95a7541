package interop

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"

	"golang.org/x/sys/unix"
)

// sshfsDriver returns the driver for an sshfs mount, used with system calls and with cp.
func sshfsDriver() *driver {
	const noTool = "a file system has no such command; tools such as rsync provide it"
	return &driver{
		name: "sshfs", tools: []string{"sshfs", "fusermount3", "sshpass", "/dev/fuse"},
		copy:     mounted(copyFile),
		resume:   mounted(continueFile),
		keepTime: mountedCommand("cp", "-p"),
		keepMode: mountedCommand("cp", "-p"),
		mirror:   mountedCommand("cp", "-r", "--no-dereference", "--preserve=mode,timestamps"),
		links:    linksKept,
		appendTo: func(a *account, local, remote string) error {
			return mount(a, func(mnt string) error { return appendFile(a.here(local), filepath.Join(mnt, remote)) })
		},
		rename: sshfsRename, replace: sshfsRename,
		list: func(a *account, dir string) (names []string, err error) {
			err = mount(a, func(mnt string) error {
				entries, err := os.ReadDir(filepath.Join(mnt, dir))
				for _, e := range entries {
					names = append(names, e.Name())
				}
				return err
			})
			return names, err
		},
		space: func(a *account) (bytes uint64, err error) {
			err = mount(a, func(mnt string) error {
				var st unix.Statfs_t
				defer func() { bytes = st.Blocks * uint64(st.Frsize) }()
				return unix.Statfs(mnt, &st)
			})
			return bytes, err
		},
		parallel: copier{
			func(a *account, files ...pair) error { return sshfsAtOnce(a, true, files) },
			func(a *account, files ...pair) error { return sshfsAtOnce(a, false, files) },
		},
		lacks: map[string]string{"mirror again: only what changed, delete what is gone": noTool},
	}
}

// mount mounts the home while a function runs. sshfs returns when it has mounted.
func mount(a *account, do func(mnt string) error) (err error) {
	mnt, err := os.MkdirTemp("", "interop-mount")
	if err != nil {
		return err
	}
	defer os.Remove(mnt)
	args := []string{"sshfs", a.user + "@" + a.host + ":/", mnt, "-p", a.port}
	plain := *a
	if a.password != "" {
		args = append(args, "-o", "password_stdin")
		plain.password = ""
		args = append(args, "-o", "ssh_command=ssh -F none -o PreferredAuthentications=password -o UserKnownHostsFile="+a.known)
	} else {
		args = append(args, "-o", "ssh_command="+plain.ssh())
	}
	if err := a.do(a.password, args...); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, a.do("", "fusermount3", "-u", mnt)) }()
	return do(mnt)
}

// mounted copies files with a function, both ways.
func mounted(do func(from, to string) error) copier {
	return copier{
		put: func(a *account, files ...pair) error {
			return mount(a, func(mnt string) error {
				for _, p := range files {
					if err := do(a.here(p.from), filepath.Join(mnt, p.to)); err != nil {
						return err
					}
				}
				return nil
			})
		},
		get: func(a *account, files ...pair) error {
			return mount(a, func(mnt string) error {
				for _, p := range files {
					if err := do(filepath.Join(mnt, p.from), a.here(p.to)); err != nil {
						return err
					}
				}
				return nil
			})
		},
	}
}

func mountedCommand(command ...string) copier {
	var none account
	return mounted(func(from, to string) error {
		none.local = filepath.Dir(to)
		return none.do("", append(slices.Clone(command), from, to)...)
	})
}

// continueFile appends to the shorter of two files what it lacks.
func continueFile(from, to string) error {
	st, err := os.Stat(to)
	if err != nil {
		return err
	}
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.OpenFile(to, os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	_, err = io.Copy(io.NewOffsetWriter(out, st.Size()), io.NewSectionReader(in, st.Size(), 1<<40))
	return errors.Join(err, out.Close())
}

func appendFile(from, to string) error {
	data, err := os.ReadFile(from)
	if err != nil {
		return err
	}
	out, err := os.OpenFile(to, os.O_WRONLY|os.O_APPEND, 0)
	if err != nil {
		return err
	}
	_, err = out.Write(data)
	return errors.Join(err, out.Close())
}

func sshfsRename(a *account, from, to string) error {
	return mount(a, func(mnt string) error { return os.Rename(filepath.Join(mnt, from), filepath.Join(mnt, to)) })
}

func sshfsAtOnce(a *account, up bool, files []pair) error {
	return mount(a, func(mnt string) error {
		copyOne := func(_ *account, one ...pair) error {
			if up {
				return copyFile(a.here(one[0].from), filepath.Join(mnt, one[0].to))
			}
			return copyFile(filepath.Join(mnt, one[0].from), a.here(one[0].to))
		}
		if err := processes(copyOne)(a, files...); err != nil {
			return fmt.Errorf("at the same time: %w", err)
		}
		return nil
	})
}
