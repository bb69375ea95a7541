package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"time"
	"unicode/utf8"

	"github.com/sftp-operator/sftp-operator/sftpd/contract/config"
	"github.com/sftp-operator/sftp-operator/sftpd/daemon"
	"github.com/sftp-operator/sftp-operator/sftpd/event"
	"github.com/sftp-operator/sftp-operator/sftpd/retention"
	"github.com/sftp-operator/sftp-operator/sftpd/snapshot"
)

const (
	// listedFiles is the default number of files that are listed for each rule, and maxListedFiles the most.
	listedFiles    = 100
	maxListedFiles = 10000
)

// dueFile is the line that is printed for each file.
type dueFile struct {
	Rule   string `json:"rule"`
	Volume string `json:"volume"`
	Path   string `json:"path"`
	// PathBase64 has the bytes of a path that is not UTF-8.
	PathBase64 []byte    `json:"pathBase64,omitempty"`
	Size       int64     `json:"size"`
	Uploaded   time.Time `json:"uploaded"`
}

// runRetention prints a line for each file that would be deleted, and after those of a volume one for each rule.
func runRetention(args []string, stdout, stderr io.Writer) int {
	var dir string
	limit := listedFiles
	flags := flag.NewFlagSet("sftpd retention", flag.ContinueOnError)
	flags.SetOutput(stderr)
	flags.StringVar(&dir, "config", "", "the configuration `directory`")
	flags.IntVar(&limit, "limit", listedFiles, "how many files to list for each rule and volume")
	if err := flags.Parse(args); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			return 0
		}
		return 2
	}
	if dir == "" || flags.NArg() > 0 || limit < 0 || limit > maxListedFiles {
		fmt.Fprintf(stderr, "sftpd retention: -config is needed, -limit is at most %d, and there are no arguments\n", maxListedFiles)
		return 2
	}
	if err := listDue(dir, limit, json.NewEncoder(stdout), stderr); err != nil {
		fmt.Fprintln(stderr, "sftpd retention:", err)
		return 1
	}
	return 0
}

func listDue(dir string, limit int, out *json.Encoder, stderr io.Writer) error {
	files, err := config.Read(dir, nil)
	if err != nil {
		return err
	}
	s, err := snapshot.Build(files, nil, time.Now())
	if err != nil {
		return err
	}
	for _, v := range daemon.Retention(s) {
		rules, err := retention.List(context.Background(), v, limit, func(e event.FileExpired) error {
			line := dueFile{Rule: e.Rule, Volume: e.Volume, Path: e.Path, Size: e.Size, Uploaded: e.Uploaded.UTC().Truncate(time.Second)}
			if !utf8.ValidString(e.Path) {
				line.PathBase64 = []byte(e.Path)
			}
			return out.Encode(line)
		})
		if errors.Is(err, fs.ErrNotExist) { // one that ends with its pod
			fmt.Fprintf(stderr, "sftpd retention: volume %s does not exist\n", v.Name)
			continue
		}
		if err != nil {
			return fmt.Errorf("volume %s: %w", v.Name, err)
		}
		for _, rule := range rules {
			if err := out.Encode(rule); err != nil {
				return err
			}
		}
	}
	return nil
}
