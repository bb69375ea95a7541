package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/sftp-operator/sftp-operator/sftpd/contract/config"
	"github.com/sftp-operator/sftp-operator/sftpd/contract/config/configtest"
)

func TestRetention(t *testing.T) {
	dir := configtest.New(t)
	dir.AddUser("ada", "secret")
	dir.Listener.Volumes = append(dir.Listener.Volumes, config.Volume{Name: "gone", Path: filepath.Join(dir.Volume(), "..", "gone")})
	dir.Listener.Retention.Rules = []config.RetentionRule{{
		Name: "old", RetentionDirectory: config.RetentionDirectory{Volume: "data", Scope: config.RetentionOfVolume}, DeleteAfterSeconds: 3600, Mode: config.RetentionReport,
	}}
	dir.Write(t)
	for _, name := range []string{"a.csv", "b.csv"} {
		if err := os.WriteFile(filepath.Join(dir.Volume(), name), []byte("content"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	var out, errs strings.Builder
	if code := run([]string{"retention", "-config", dir.Path}, &out, &errs); code != 0 {
		t.Fatalf("%d: %s", code, errs.String())
	}
	var old config.RetentionStatus
	for line := range strings.Lines(out.String()) {
		var s config.RetentionStatus
		if err := json.Unmarshal([]byte(line), &s); err != nil {
			t.Fatal(err)
		}
		if s.Rule == "old" {
			old = s
		}
	}
	if old.Files != 2 || old.Due != 0 || !strings.Contains(errs.String(), "volume gone does not exist") {
		t.Errorf("%s%s", out.String(), errs.String())
	}
	entries, err := os.ReadDir(dir.Volume())
	if err != nil || len(entries) != 2 {
		t.Errorf("it has left something: %v %v", entries, err)
	}
	for _, args := range [][]string{{}, {"-config", dir.Path, "more"}, {"-config", dir.Path, "-limit", "-1"}} {
		if code := run(append([]string{"retention"}, args...), &out, &errs); code != 2 {
			t.Errorf("%q: %d", args, code)
		}
	}
}
