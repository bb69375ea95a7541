package config

import (
	"errors"
	"fmt"
	"path"
	"regexp"
	"time"
)

// Values of RetentionRule.Mode.
const (
	// RetentionReport counts what the rule would delete.
	RetentionReport = "Report"
	// RetentionEnforce deletes it.
	RetentionEnforce = "Enforce"
)

// Values of RetentionDirectory.Scope.
const (
	// RetentionOfUsers: the directory namespace/name of each user.
	RetentionOfUsers = "User"
	// RetentionOfNamespaces: the directory of each namespace that has users.
	RetentionOfNamespaces = "Namespace"
	// RetentionOfVolume: the volume itself.
	RetentionOfVolume = "Volume"
)

// Bounds of retention. A rule that deletes after less than MinRetentionSeconds could meet uploads that are still being
// processed, and clocks are compared with a tolerance below it.
const (
	MaxRetentionRules = 32
	MaxRetentionHolds = 64
	MaxKeepNewest     = 1000

	MinRetentionSeconds   = 3600
	MinStaleUploadSeconds = 2 * 24 * 3600
	minRetentionInterval  = 600
)

// Defaults of retention.
const (
	DefaultRetentionIntervalSeconds = 24 * 3600
	DefaultStaleUploadSeconds       = 7 * 24 * 3600
	DefaultRetentionMaxFiles        = 10000
	DefaultRetentionMaxPercent      = 50
)

// Retention configures which files are deleted, and when. What remains of interrupted uploads is always deleted, on each volume
// that users may write to.
type Retention struct {
	// IntervalSeconds between two runs on a volume; 0 stands for DefaultRetentionIntervalSeconds.
	IntervalSeconds int `json:"intervalSeconds,omitempty"`
	// StaleUploadSeconds is how long the leftover of an upload must be unchanged before it is deleted; 0 stands for
	// DefaultStaleUploadSeconds.
	StaleUploadSeconds int64 `json:"staleUploadSeconds,omitempty"`
	// Rules in any order. A file that several match is deleted by the first whose time it has reached.
	Rules []RetentionRule `json:"rules,omitempty"`
	// Holds are directories in which nothing is deleted.
	Holds []RetentionHold `json:"holds,omitempty"`
}

// RetentionDirectory names directories on a volume.
type RetentionDirectory struct {
	// Volume names an entry of Listener.Volumes.
	Volume string `json:"volume"`
	// Scope is RetentionOfUsers, RetentionOfNamespaces or RetentionOfVolume.
	Scope string `json:"scope"`
	// SubPath below the scope, relative and clean; empty means all of it.
	SubPath string `json:"subPath,omitempty"`
}

// RetentionRule deletes files below directories.
type RetentionRule struct {
	// Name is unique among the rules.
	Name string `json:"name"`
	RetentionDirectory
	// Match contains patterns of file names. A file is deleted only if one matches; empty matches all. '*' stands for any
	// characters, '?' for one.
	Match []string `json:"match,omitempty"`
	// DeleteAfterSeconds since the upload.
	DeleteAfterSeconds int64 `json:"deleteAfterSeconds"`
	// KeepNewest is how many of the newest matching files stay in each directory, whatever their age.
	KeepNewest int `json:"keepNewest,omitempty"`
	// EmptyDirectories also deletes directories below that have been empty for DeleteAfterSeconds.
	EmptyDirectories bool `json:"emptyDirectories,omitempty"`
	// Mode is RetentionReport or RetentionEnforce.
	Mode string `json:"mode"`
	// MaxFiles and MaxPercent are the number of files, and the percentage of the matching ones, that a run may delete. A run that
	// would delete more deletes nothing. 0 stands for the defaults.
	MaxFiles   int `json:"maxFiles,omitempty"`
	MaxPercent int `json:"maxPercent,omitempty"`
}

// RetentionHold is a directory on a volume in which nothing is deleted.
type RetentionHold struct {
	// Name is unique among the holds.
	Name string `json:"name"`
	// Volume names an entry of Listener.Volumes.
	Volume string `json:"volume"`
	// Path of the directory on the volume; empty holds the whole volume.
	Path string `json:"path,omitempty"`
}

// Interval returns the time between two runs.
func (r Retention) Interval() time.Duration {
	if r.IntervalSeconds == 0 {
		return DefaultRetentionIntervalSeconds * time.Second
	}
	return time.Duration(r.IntervalSeconds) * time.Second
}

// StaleUploads returns the age at which leftovers of uploads are deleted.
func (r Retention) StaleUploads() time.Duration {
	if r.StaleUploadSeconds == 0 {
		return DefaultStaleUploadSeconds * time.Second
	}
	return time.Duration(r.StaleUploadSeconds) * time.Second
}

// maxRetentionSeconds is 200 years: more does not fit into a time.Duration with room to calculate.
const maxRetentionSeconds = 200 * 365 * 24 * 3600

// Bounds of RetentionRule.Match. A pattern has 255 characters, as in the API, of at most four bytes each.
const (
	maxPatterns   = 16
	maxPatternLen = 4 * 255
)

var ruleNameRE = regexp.MustCompile(`^[a-z0-9]([-a-z0-9]{0,38}[a-z0-9])?$`)

func (l Listener) validateRetention() error {
	r := l.Retention
	switch {
	case r.IntervalSeconds != 0 && (r.IntervalSeconds < minRetentionInterval || r.IntervalSeconds > 30*DefaultRetentionIntervalSeconds):
		return fmt.Errorf("retention.intervalSeconds must be %d to %d", minRetentionInterval, 30*DefaultRetentionIntervalSeconds)
	case r.StaleUploadSeconds != 0 && (r.StaleUploadSeconds < MinStaleUploadSeconds || r.StaleUploadSeconds > maxRetentionSeconds):
		return fmt.Errorf("retention.staleUploadSeconds must be at least %d", MinStaleUploadSeconds)
	case len(r.Rules) > MaxRetentionRules:
		return fmt.Errorf("retention.rules must have at most %d entries", MaxRetentionRules)
	case len(r.Holds) > MaxRetentionHolds:
		return fmt.Errorf("retention.holds must have at most %d entries", MaxRetentionHolds)
	}
	seen := map[string]bool{}
	for _, rule := range r.Rules {
		if seen[rule.Name] {
			return fmt.Errorf("duplicate retention rule %q", rule.Name)
		}
		seen[rule.Name] = true
		if err := l.validateRule(rule); err != nil {
			return fmt.Errorf("retention rule %q: %w", rule.Name, err)
		}
	}
	for _, h := range r.Holds {
		switch _, ok := l.Volume(h.Volume); {
		case !ruleNameRE.MatchString(h.Name):
			return fmt.Errorf("retention hold %q: the name is not valid", h.Name)
		case !ok:
			return fmt.Errorf("retention hold %q: there is no volume %q", h.Name, h.Volume)
		case !relative(h.Path):
			return fmt.Errorf("retention hold %q: the path must be relative and clean", h.Name)
		}
	}
	return nil
}

func (l Listener) validateRule(r RetentionRule) error {
	_, ok := l.Volume(r.Volume)
	switch {
	case !ruleNameRE.MatchString(r.Name) || r.Name == StaleUploads:
		return errors.New("the name is not valid")
	case !ok:
		return fmt.Errorf("there is no volume %q", r.Volume)
	case r.Scope != RetentionOfUsers && r.Scope != RetentionOfNamespaces && r.Scope != RetentionOfVolume:
		return fmt.Errorf("scope %q is not known", r.Scope)
	case !relative(r.SubPath):
		return errors.New("subPath must be relative and clean")
	case r.Mode != RetentionReport && r.Mode != RetentionEnforce:
		return fmt.Errorf("mode %q is not known", r.Mode)
	case r.DeleteAfterSeconds < MinRetentionSeconds || r.DeleteAfterSeconds > maxRetentionSeconds:
		return fmt.Errorf("deleteAfterSeconds must be %d to %d", MinRetentionSeconds, int64(maxRetentionSeconds))
	case r.KeepNewest < 0 || r.KeepNewest > MaxKeepNewest:
		return fmt.Errorf("keepNewest must be 0 to %d", MaxKeepNewest)
	case r.MaxFiles < 0 || r.MaxPercent < 0 || r.MaxPercent > 100:
		return errors.New("maxFiles must not be negative, and maxPercent must be 0 to 100")
	}
	return validatePatterns(r.Match)
}

func validatePatterns(patterns []string) error {
	if len(patterns) > maxPatterns {
		return fmt.Errorf("match must have at most %d patterns", maxPatterns)
	}
	for _, p := range patterns {
		if p == "" || len(p) > maxPatternLen {
			return fmt.Errorf("a pattern must have 1 to %d bytes", maxPatternLen)
		}
	}
	return nil
}

// relative reports whether a path is empty, or relative and clean.
func relative(p string) bool { return p == "" || cleanPath(p) && !path.IsAbs(p) && !escapes(p) }
