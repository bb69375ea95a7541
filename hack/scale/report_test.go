package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// A measurement replaces only its own table.
func TestWriteKeepsWhatWasNotMeasured(t *testing.T) {
	file := filepath.Join(t.TempDir(), "scale.md")
	const page = "# Scale\n\n" + begin + "\n### The daemon\n\n| old daemon |\n\n### One listener\n\n| old listener |\n\n" +
		"### The fleet\n\n| old fleet |\n\n" + end + "\nThe end\n"
	if err := os.WriteFile(file, []byte(page), 0o600); err != nil {
		t.Fatal(err)
	}
	r := results{Single: []fleetResult{{Listeners: 1, Users: 777}}}
	for range 2 {
		if err := r.write(file); err != nil {
			t.Fatal(err)
		}
	}
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	got := string(data)
	for _, want := range []string{"# Scale\n\n" + begin + "\n### The daemon\n\n| old daemon |\n\n### One listener\n\n", "1 × 777", "\n\n### The fleet\n\n| old fleet |\n\n" + end + "\nThe end\n"} {
		if strings.Count(got, want) != 1 {
			t.Errorf("want %q exactly once in:\n%s", want, got)
		}
	}
	if strings.Contains(got, "old listener") {
		t.Error("the earlier table is still there")
	}
}
