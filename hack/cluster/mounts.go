package main

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"syscall"
)

// mount is one line of /proc/self/mountinfo.
type mount struct {
	point string
	kind  string // of file system
}

// parseMounts reads /proc/self/mountinfo: "ID PARENT DEV ROOT POINT OPTIONS [FIELDS…] - KIND SOURCE OPTIONS".
func parseMounts(mountinfo string) []mount {
	var mounts []mount
	for line := range strings.Lines(mountinfo) {
		before, after, ok := strings.Cut(line, " - ")
		fields, rest := strings.Fields(before), strings.Fields(after)
		if ok && len(fields) >= 6 && len(rest) > 0 {
			mounts = append(mounts, mount{point: unescape(fields[4]), kind: rest[0]})
		}
	}
	return mounts
}

// isMounted reports whether something is mounted on a folder.
func isMounted(folder string) (bool, error) {
	b, err := os.ReadFile("/proc/self/mountinfo")
	return slices.ContainsFunc(parseMounts(string(b)), func(m mount) bool { return m.point == folder }), err
}

// unescape undoes the kernel's octal escapes of space, tab, newline and backslash.
func unescape(s string) string {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] == '\\' && i+3 < len(s) {
			if n, err := strconv.ParseUint(s[i+1:i+4], 8, 8); err == nil {
				b.WriteByte(byte(n))
				i += 3
				continue
			}
		}
		b.WriteByte(s[i])
	}
	return b.String()
}

// unmountBelow unmounts everything that is mounted in a folder: the containers' root file systems, the pods' volumes and their
// network namespaces. Later mounts may be on top of earlier ones, so the last goes first.
func unmountBelow(dir string) error {
	b, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return err
	}
	mounts := parseMounts(string(b))
	var errs []error
	for _, m := range slices.Backward(mounts) {
		point := m.point
		if !strings.HasPrefix(point, dir+"/") {
			continue
		}
		if err := syscall.Unmount(point, syscall.MNT_DETACH); err != nil && !errors.Is(err, syscall.EINVAL) {
			errs = append(errs, fmt.Errorf("unmount %s: %w", point, err))
		}
	}
	return errors.Join(errs...)
}
