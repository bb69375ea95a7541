package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/sftp-operator/sftp-operator/api/v1alpha1"
	"github.com/sftp-operator/sftp-operator/controllers/offline"
	"github.com/sftp-operator/sftp-operator/controllers/render"
)

const renderUsage = `usage: manager render -f FILE-OR-DIRECTORY [-f ...] [-o DIRECTORY] [-allow-missing]

Checks manifests as the cluster would, and writes the daemon's configuration.

Reads SFTPListeners, SFTPUsers and SFTPKeys, and the Secrets and Namespaces that they
refer to. Prints what conditions would say, and exits with 1 if there is anything. With
-o it writes the configuration directory for "sftpd serve -config"; with several
listeners, each into <namespace>/<name> below it. Host keys that the operator would
generate are made on the first run and kept in the directory.

`

// repeated is a flag that may be given several times.
type repeated []string

func (r *repeated) String() string { return fmt.Sprint(*r) }

func (r *repeated) Set(v string) error {
	*r = append(*r, v)
	return nil
}

// errFindings is returned when manifests have findings, which were printed.
var errFindings = errors.New("the manifests have the problems above")

func renderCommand(args []string) error {
	var files repeated
	fs := flag.NewFlagSet("manager render", flag.ContinueOnError)
	fs.Usage = func() {
		fmt.Fprint(fs.Output(), renderUsage)
		fs.PrintDefaults()
	}
	fs.Var(&files, "f", "file or directory with manifests, - for standard input; may be repeated")
	out := fs.String("o", "", "directory to write to; only checks when empty")
	allowMissing := fs.Bool("allow-missing", false, "do not fail for Secrets and keys that are not in the manifests; users that need them are left out")
	if err := fs.Parse(args); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			return nil
		}
		return err
	}
	if len(files) == 0 || fs.NArg() > 0 {
		fs.Usage()
		return errors.New("-f must be given")
	}
	ctx := context.Background()
	m, err := offline.Read(ctx, files)
	if err != nil {
		return err
	}
	failed := len(m.Refused) > 0
	for _, r := range m.Refused {
		fmt.Fprintln(os.Stderr, "error:", r)
	}
	if len(m.Listeners) == 0 {
		return errors.New("there is no usable SFTPListener in the manifests")
	}
	if !report(m.Unattached(), *allowMissing) {
		failed = true
	}
	for i := range m.Listeners {
		ok, err := renderListener(ctx, m, &m.Listeners[i], *out, *allowMissing)
		if err != nil {
			return err
		}
		failed = failed || !ok
	}
	if failed {
		return errFindings
	}
	return nil
}

// renderListener renders one listener and reports whether it is without findings. A
// configuration with findings is not written: the pipeline is to stop.
func renderListener(ctx context.Context, m *offline.Manifests, l *v1alpha1.SFTPListener, out string, allowMissing bool) (bool, error) {
	dir := out
	if len(m.Listeners) > 1 && out != "" {
		dir = filepath.Join(out, l.Namespace, l.Name)
	}
	var prev offline.Previous
	if dir != "" {
		if err := os.MkdirAll(dir, 0o750); err != nil {
			return false, err
		}
		var err error
		if prev, err = offline.ReadPrevious(dir); err != nil {
			return false, err
		}
	}
	files, findings, err := m.Render(ctx, l, prev, time.Now(), offline.VolumePath)
	if err != nil {
		return false, err
	}
	if !report(findings, allowMissing) {
		return false, nil
	}
	if dir == "" || files.Digest == "" {
		return true, nil
	}
	if err := offline.Write(dir, files, render.Settings(l, render.Trust{}, offline.VolumePath).Volumes); err != nil {
		return false, err
	}
	fmt.Printf("SFTPListener %s: configuration written to %s\n", client.ObjectKeyFromObject(l), dir)
	return true, nil
}

// report prints findings and says whether none of them is an error.
func report(findings []offline.Finding, allowMissing bool) bool {
	ok := true
	for _, f := range findings {
		if f.Missing && allowMissing {
			fmt.Fprintln(os.Stderr, "warning:", f)
			continue
		}
		fmt.Fprintln(os.Stderr, "error:", f)
		ok = false
	}
	return ok
}
