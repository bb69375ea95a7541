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

// purging is what the command is asked to do.
type purging struct {
	directory, listener    string
	remove, removeReceipts bool
	volumes                []string
}

func runPurge(args []string, stdout, stderr io.Writer) int {
	var o purging
	flags := flag.NewFlagSet("sftpd purge", flag.ContinueOnError)
	flags.SetOutput(stderr)
	flags.StringVar(&o.directory, "directory", "", "the user's `namespace/name`")
	flags.BoolVar(&o.remove, "remove", false, "remove it, instead of counting what is in it")
	flags.StringVar(&o.listener, "listener", "", "also count the user's receipts for the listener `namespace/name`")
	flags.BoolVar(&o.removeReceipts, "remove-receipts", false, "remove them, instead of counting them")
	flags.Func("volume", "a volume, as `name=path`; may be repeated", func(v string) error {
		if name, path, ok := strings.Cut(v, "="); !ok || name == "" || path == "" {
			return errors.New("it is not name=path")
		}
		o.volumes = append(o.volumes, v)
		return nil
	})
	if err := flags.Parse(args); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			return 0
		}
		return 2
	}
	if o.directory == "" || len(o.volumes) == 0 || flags.NArg() > 0 {
		fmt.Fprintln(stderr, "sftpd purge: -directory and -volume are needed, and no arguments")
		return 2
	}
	if o.removeReceipts && o.listener == "" {
		fmt.Fprintln(stderr, "sftpd purge: -remove-receipts needs -listener")
		return 2
	}
	code := 0
	out := json.NewEncoder(stdout)
	for _, v := range o.volumes {
		line := o.purge(v)
		if line.Error != "" {
			code = 1
		}
		if err := out.Encode(line); err != nil {
			fmt.Fprintln(stderr, "sftpd purge:", err)
			return 1
		}
	}
	return code
}

// purge counts or removes the directory on a volume, name=path.
func (o purging) purge(volume string) purged {
	name, path, _ := strings.Cut(volume, "=")
	do := purge.Count
	if o.remove {
		do = purge.Remove
	}
	found, err := do(path, o.directory)
	line := purged{Volume: name, Found: found, Removed: o.remove && found.Exists && err == nil}
	if err == nil && o.listener != "" {
		line.Receipts, err = purge.Receipts(path, o.listener, o.directory, o.removeReceipts)
		line.ReceiptsRemoved = o.removeReceipts && line.Receipts > 0 && err == nil
	}
	if err != nil {
		line.Error = err.Error()
	}
	return line
}
