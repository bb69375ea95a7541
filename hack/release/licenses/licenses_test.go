package licenses

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/sftp-operator/sftp-operator/hack/release/compile"
)

func TestIdentify(t *testing.T) {
	for text, want := range map[string]string{
		"                                 Apache License\n                           Version 2.0, January 2004": "Apache-2.0",
		"Licensed under the Apache License, Version 2.0 (the \"License\")":                                      "Apache-2.0",
		"Permission is hereby granted, free of charge, to any person obtaining\na copy":                         "MIT",
		"Redistribution and use in source and binary forms, with or without\nmodification":                      "BSD-2-Clause",
		"Redistribution and use in source and binary forms ... endorse\nor promote products":                    "BSD-3-Clause",
		"Mozilla Public License Version 2.0":                                                                    "MPL-2.0",
		"GNU AFFERO GENERAL PUBLIC LICENSE":                                                                     "",
		"All rights reserved.":                                                                                  "",
	} {
		if got := Identify(text); got != want {
			t.Errorf("Identify(%.40q) = %q, want %q", text, got, want)
		}
	}
}

func TestCollect(t *testing.T) {
	top := t.TempDir()
	inner := filepath.Join(top, "inner", "deep")
	if err := os.MkdirAll(inner, 0o755); err != nil {
		t.Fatal(err)
	}
	for file, text := range map[string]string{
		"LICENSE": "Apache License Version 2.0", "inner/COPYING": "Permission is hereby granted, free of charge, to any person obtaining a copy",
		"inner/license.go": "package inner", "inner/deep/NOTICE": "Copyright of many",
	} {
		if err := os.WriteFile(filepath.Join(top, file), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	found, err := Collect([]compile.Package{{Module: "example.org/m@v1.0.0", Folder: inner, TopDir: top}})
	if err != nil || len(found) != 1 {
		t.Fatalf("Collect: %v, %v", found, err)
	}
	if got := string(Table(found)); got != "module,version,licenses\nexample.org/m,v1.0.0,Apache-2.0 AND MIT\n" {
		t.Errorf("Table = %q", got)
	}
	if len(found[0].Files) != 3 {
		t.Errorf("%d files, want the two licenses and the notice", len(found[0].Files))
	}

	if err := os.WriteFile(filepath.Join(top, "LICENSE"), []byte("GNU AFFERO GENERAL PUBLIC LICENSE"), 0o644); err != nil {
		t.Fatal(err)
	}
	_, err = Collect([]compile.Package{{Module: "example.org/m@v1.0.0", Folder: top, TopDir: top}})
	if err == nil || !strings.Contains(err.Error(), "example.org/m") {
		t.Errorf("a license that is not known: %v", err)
	}
	if _, err := Collect([]compile.Package{{Module: "example.org/m@v1.0.0", Folder: top, TopDir: inner}}); err == nil {
		t.Error("a package outside of its module: no error")
	}
}
