package auth

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"strconv"
	"time"

	"golang.org/x/sys/unix"

	"github.com/sftp-operator/sftp-operator/sftpd/contract/totp"
)

const (
	// codesDir is on the volume that all daemons of a listener share. It has an empty file for each recently used code. Package vfs
	// reserves the name: users cannot reach it.
	codesDir  = ".sftpd-codes"
	codesMode = 0o700
	claimMode = 0o600
	// claimLife is longer than any code is valid.
	claimLife = 10 * time.Minute
	// claimNameLength is the length of the files' names, and claimsSwept is how many files are checked for each code.
	claimNameLength = 32
	claimsSwept     = 256
)

// claim marks a code as used by this daemon. It is not the first use if any daemon that shares the volume has claimed it
// before: the file system creates a file only once (open(2), O_EXCL). Users may have the volume in their trees, so no link is
// followed and no other file is removed; and names cannot be predicted without the secret.
func claim(volume, uid string, key totp.Key, step int64) (first bool, err error) {
	dir, err := openCodes(volume)
	if err != nil {
		return false, fmt.Errorf("%s: %w", codesDir, err)
	}
	defer dir.Close()
	fd, err := unix.Openat(int(dir.Fd()), claimName(uid, key, step), unix.O_CREAT|unix.O_EXCL|unix.O_WRONLY|unix.O_NOFOLLOW|unix.O_CLOEXEC, claimMode)
	switch {
	case errors.Is(err, unix.EEXIST):
		return false, nil
	case err != nil:
		return false, fmt.Errorf("file in %s: %w", codesDir, err)
	}
	defer unix.Close(fd)
	var st unix.Stat_t
	if unix.Fstat(fd, &st) == nil { // by the clock of the file system, as for all its files
		sweepClaims(dir, st.Mtim.Nano()-int64(claimLife))
	}
	return true, nil
}

func openCodes(volume string) (*os.File, error) {
	root, err := unix.Open(volume, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	defer unix.Close(root)
	if err := unix.Mkdirat(root, codesDir, codesMode); err != nil && !errors.Is(err, unix.EEXIST) {
		return nil, err
	}
	fd, err := unix.Openat(root, codesDir, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	return os.NewFile(uintptr(fd), codesDir), nil
}

func claimName(uid string, key totp.Key, step int64) string {
	mac := hmac.New(sha256.New, []byte(key.Secret()))
	mac.Write([]byte(uid + " " + strconv.FormatInt(step, 10)))
	return hex.EncodeToString(mac.Sum(nil))[:claimNameLength]
}

// sweepClaims removes files of codes that expired long ago. Files that cannot be removed now are left to the next sweep.
func sweepClaims(dir *os.File, before int64) {
	names, _ := dir.Readdirnames(claimsSwept)
	for _, name := range names {
		var st unix.Stat_t
		if _, err := hex.DecodeString(name); err != nil || len(name) != claimNameLength ||
			unix.Fstatat(int(dir.Fd()), name, &st, unix.AT_SYMLINK_NOFOLLOW) != nil || st.Size != 0 || st.Mtim.Nano() >= before {
			continue
		}
		_ = unix.Unlinkat(int(dir.Fd()), name, 0)
	}
}
