package report

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

const (
	begin = "<!-- Generated: make bench -->\n"
	end   = "<!-- End of the generated part -->\n"
)

// Names of the files that a run writes into one directory.
const (
	JSONFile     = "performance.json"
	DocumentFile = "performance.md"
	ChartFile    = "performance.svg"
)

// Load reads a machine-readable result.
func Load(file string) (File, error) {
	var f File
	content, err := os.ReadFile(file)
	if err != nil {
		return f, err
	}
	if err := json.Unmarshal(content, &f); err != nil {
		return f, fmt.Errorf("%s: %w", file, err)
	}
	if len(f.Runs) == 0 {
		return f, fmt.Errorf("%s: no run in it", file)
	}
	return f, nil
}

// Save writes a machine-readable result.
func Save(file string, f File) error {
	content, err := json.MarshalIndent(f, "", " ")
	if err != nil {
		return err
	}
	return os.WriteFile(file, append(content, '\n'), 0o644)
}

// WriteDocs writes the chart and the generated part of the document, which must have a place for it.
func WriteDocs(dir string, f File) error {
	file := filepath.Join(dir, DocumentFile)
	text, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	next, err := Replace(string(text), Generated(f))
	if err != nil {
		return fmt.Errorf("%s: %w", file, err)
	}
	if err := os.WriteFile(file, []byte(next), 0o644); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, ChartFile), []byte(Chart(f.Runs[0])), 0o644)
}

// Replace puts a new generated part into a document.
func Replace(document, generated string) (string, error) {
	before, rest, ok := strings.Cut(document, begin)
	_, after, found := strings.Cut(rest, end)
	if !ok || !found {
		return "", errors.New("the markers of the generated part are missing")
	}
	return before + begin + "\n" + generated + "\n" + end + after, nil
}

// Generated returns the generated part of the document: the verdict from all runs, and the tables of the first.
func Generated(f File) string {
	r := f.Runs[0]
	var b strings.Builder
	if r.Quick {
		b.WriteString("**A quick run with few rounds and small files. It shows that everything works; the numbers are not for comparison.**\n\n")
	}
	b.WriteString(describe(r))
	b.WriteString("\n## Targets\n\n" +
		"Ratios of medians, ours to theirs. For CPU and memory, less is better; for files and MiB per second, more.")
	if len(f.Runs) > 1 {
		b.WriteString(" Commas separate the runs; a target is met if all of them meet it.")
	}
	b.WriteString("\n\n" + TargetTable(f.Runs))
	b.WriteString("\n## Results\n\nMedians, with the minimum and maximum of all rounds in parentheses. Ratios are ours to theirs.\n")
	b.WriteString(Tables(r))
	return b.String()
}

func describe(r Run) string {
	var b strings.Builder
	e := r.Environment
	b.WriteString("| | |\n|---|---|\n")
	fmt.Fprintf(&b, "| Machine | %s, %d CPUs, %s MiB of memory |\n", e.CPU, e.CPUs, Fixed(float64(e.Memory), 0))
	fmt.Fprintf(&b, "| System | %s, Linux %s, %s |\n", e.System, e.Kernel, e.Go)
	fmt.Fprintf(&b, "| Clients | our own and %s |\n", e.Client)
	for _, label := range r.Labels {
		version := r.Servers[label]
		if label == ours {
			version = "commit " + e.Commit + strings.TrimPrefix(version, strings.Split(version, ",")[0])
		}
		fmt.Fprintf(&b, "| %s | %s |\n", label, version)
	}
	fmt.Fprintf(&b, "| Run | %s, %d rounds |\n", r.Started.UTC().Format("2006-01-02 15:04 UTC"), r.Rounds)
	return b.String()
}
