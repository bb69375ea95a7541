// Package identity names a release: its version, the commit from which it is built, and the addresses at which its parts are
// published. Everything that is written into artifacts comes from here, so that the same commit and version give equal bytes.
package identity

import (
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// The addresses of the project.
const (
	Name            = "sftp-operator"
	Source          = "https://github.com/sftp-operator/sftp-operator"
	Documentation   = Source + "/tree/main/docs"
	ImageRepository = "ghcr.io/sftp-operator/sftp-operator"
	ChartRepository = "ghcr.io/sftp-operator/charts/sftp-operator"
	Module          = "github.com/sftp-operator/sftp-operator"
)

// Release identifies a release.
type Release struct {
	Version string    // v1.2.3, or v1.2.3-rc.1
	Commit  string    // full hash
	Time    time.Time // of the commit, or SOURCE_DATE_EPOCH
	Dirty   bool      // files of the tree differ from the commit
}

var versionFormat = regexp.MustCompile(`^v(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)(-[0-9A-Za-z.-]+)?$`)

// Of identifies the release of the tree in the current folder as a version. It fails for an invalid version, and without git.
func Of(version string) (Release, error) {
	if !versionFormat.MatchString(version) {
		return Release{}, fmt.Errorf("version %q: want vMAJOR.MINOR.PATCH, optionally with a pre-release part", version)
	}
	commit, err := git("rev-parse", "HEAD")
	if err != nil {
		return Release{}, err
	}
	status, err := git("status", "--porcelain")
	if err != nil {
		return Release{}, err
	}
	seconds := os.Getenv("SOURCE_DATE_EPOCH")
	if seconds == "" {
		if seconds, err = git("log", "-1", "--format=%ct"); err != nil {
			return Release{}, err
		}
	}
	epoch, err := strconv.ParseInt(seconds, 10, 64)
	if err != nil {
		return Release{}, fmt.Errorf("SOURCE_DATE_EPOCH: %w", err)
	}
	return Release{Version: version, Commit: commit, Time: time.Unix(epoch, 0).UTC(), Dirty: status != ""}, nil
}

// Number returns the version without its v, as charts spell it.
func (r Release) Number() string { return strings.TrimPrefix(r.Version, "v") }

// Download returns the address from which a file of the release is downloaded.
func (r Release) Download(file string) string {
	return Source + "/releases/download/" + r.Version + "/" + file
}

// Labels returns the annotations of the Open Container Initiative for what the release publishes in registries.
func (r Release) Labels(title, description string) map[string]string {
	return map[string]string{
		"org.opencontainers.image.created":       r.Time.Format(time.RFC3339),
		"org.opencontainers.image.description":   description,
		"org.opencontainers.image.documentation": Documentation,
		"org.opencontainers.image.licenses":      "Apache-2.0",
		"org.opencontainers.image.revision":      r.Commit,
		"org.opencontainers.image.source":        Source,
		"org.opencontainers.image.title":         title,
		"org.opencontainers.image.url":           Source,
		"org.opencontainers.image.vendor":        "sftp-operator maintainers",
		"org.opencontainers.image.version":       r.Version,
	}
}

func git(arguments ...string) (string, error) {
	out, err := exec.Command("git", arguments...).Output()
	if err != nil {
		return "", fmt.Errorf("git %s: %w", strings.Join(arguments, " "), err)
	}
	return strings.TrimSpace(string(out)), nil
}
