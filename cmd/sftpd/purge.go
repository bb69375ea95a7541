package main

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"strings"

	"github.com/sftp-operator/sftp-operator/sftpd/purge"
)

// purged is the output for each volume.
type purged struct {
	Volume string `json:"volume"`
	purge.Found
	Removed bool `json:"removed"`
	// Receipts are those of the user for the listener.
	Receipts        int    `json:"receipts,omitempty"`
	ReceiptsRemoved bool   `json:"receiptsRemoved,omitempty"`
	Error           string `json:"error,omitempty"`
}

func runPurge(args []string, stdout, stderr io.Writer) int {
	var directory, listener string
	var remove, removeReceipts bool
	var volumes []string
	flags := flag.NewFlagSet("sftpd purge", flag.ContinueOnError)
	flags.SetOutput(stderr)
	flags.StringVar(&directory, "directory", "", "the user's `namespace/name`")
	flags.BoolVar(&remove, "remove", false, "remove it, instead of counting what is in it")
	flags.StringVar(&listener, "listener", "", "also count the user's receipts for the listener `namespace/name`")
	flags.BoolVar(&removeReceipts, "remove-receipts", false, "remove them, instead of counting them")
	flags.Func("volume", "a volume, as `name=path`; may be repeated", func(v string) error {
		if name, path, ok := strings.Cut(v, "="); !ok || name == "" || path == "" {
			return errors.New("it is not name=path")
		}
		volumes = append(volumes, v)
		return nil
	})
	if err := flags.Parse(args); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			return 0
		}
		return 2
	}
	if directory == "" || len(volumes) == 0 || flags.NArg() > 0 {
		fmt.Fprintln(stderr, "sftpd purge: -directory and -volume are needed, and no arguments")
		return 2
	}
	if removeReceipts && listener == "" {
		fmt.Fprintln(stderr, "sftpd purge: -remove-receipts needs -listener")
		return 2
	}
	do := purge.Look
	if remove {
		do = purge.Remove
	}
	code := 0
	out := json.NewEncoder(stdout)
	for _, v := range volumes {
		name, path, _ := strings.Cut(v, "=")
		found, err := do(path, directory)
		line := purged{Volume: name, Found: found, Removed: remove && found.Exists && err == nil}
		if err == nil && listener != "" {
			line.Receipts, err = purge.Receipts(path, listener, directory, removeReceipts)
			line.ReceiptsRemoved = removeReceipts && line.Receipts > 0 && err == nil
		}
		if err != nil {
			line.Error, code = err.Error(), 1
		}
		if err := out.Encode(line); err != nil {
			fmt.Fprintln(stderr, "sftpd purge:", err)
			return 1
		}
	}
	return code
}
