package main

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// TestPurge: receipts stay unless they are asked for, also when the files are gone.
func TestPurge(t *testing.T) {
	dir := t.TempDir()
	for _, f := range []string{"team-a/acme/a", ".sftpd-events/files/.receipts/partners/team-a/acme/1.json"} {
		f = filepath.Join(dir, f)
		if err := os.MkdirAll(filepath.Dir(f), 0o750); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(f, nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	base := []string{"-directory", "team-a/acme", "-volume", "data=" + dir}
	listener := slices.Concat(base, []string{"-listener", "files/partners"})
	with := func(args ...string) []string { return slices.Concat(listener, args) }
	for _, c := range []struct {
		args []string
		want string
	}{
		{base, `{"volume":"data","exists":true,"files":1,"directories":1,"bytes":0,"removed":false}`},
		{listener, `{"volume":"data","exists":true,"files":1,"directories":1,"bytes":0,"removed":false,"receipts":1}`},
		{with("-remove"), `{"volume":"data","exists":true,"files":1,"directories":1,"bytes":0,"removed":true,"receipts":1}`},
		{with("-remove", "-remove-receipts"), `{"volume":"data","exists":false,"files":0,"directories":0,"bytes":0,"removed":false,"receipts":1,"receiptsRemoved":true}`},
		{with("-remove-receipts"), `{"volume":"data","exists":false,"files":0,"directories":0,"bytes":0,"removed":false}`},
	} {
		var out, errs bytes.Buffer
		if code := runPurge(c.args, &out, &errs); code != 0 || strings.TrimSpace(out.String()) != c.want {
			t.Errorf("%q: %d %s%s", c.args, code, out.String(), errs.String())
		}
	}
	var out, errs bytes.Buffer
	if code := runPurge(slices.Concat(base, []string{"-remove-receipts"}), &out, &errs); code != 2 || !strings.Contains(errs.String(), "needs -listener") {
		t.Errorf("without a listener: %d %s%s", code, out.String(), errs.String())
	}
	if code := runPurge(slices.Concat(base, []string{"-listener", "files"}), &out, &errs); code != 1 || !strings.Contains(out.String(), "not namespace/name") {
		t.Errorf("a wrong listener: %d %s%s", code, out.String(), errs.String())
	}
}
