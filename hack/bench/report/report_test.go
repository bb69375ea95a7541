package report

import (
	"encoding/xml"
	"errors"
	"io"
	"os"
	"strings"
	"testing"
	"time"
)

func sample(ours, openssh, sftpgo float64) Run {
	cells := func(metric string, digits float64) []Cell {
		return []Cell{
			{Server: "sftpd", Values: map[string][]float64{metric: {ours * digits, 2 * ours * digits, 0}}},
			{Server: "OpenSSH", Values: map[string][]float64{metric: {openssh * digits}}},
			{Server: "sftpgo", Values: map[string][]float64{metric: {sftpgo * digits}}},
		}
	}
	return Run{
		Started: time.Unix(0, 0), Rounds: 3, Labels: []string{"sftpd", "OpenSSH", "sftpgo"},
		Servers:     map[string]string{"sftpd": "SSH-2.0-x, passwords by argon2id", "OpenSSH": "SSH-2.0-OpenSSH_9.2"},
		Environment: Environment{CPU: "a CPU", CPUs: 2, Commit: "abc"},
		Workloads: []Workload{
			{ID: "raw-aes128-gcm-32k-down", Group: "One", Title: "download", Cells: cells(CPUPerGiB, 1)},
			{ID: "files-1-put", Group: "Two", Title: "put <1>", Cells: cells(FilesPerS, 1000)},
			{ID: "list", Group: "Two", Title: "list", Cells: cells(Replies, 100)},
			{ID: "login-password", Group: "Two", Title: "login", Cells: []Cell{{Server: "sftpd", Note: "failed"}, {Server: "OpenSSH", Note: "n/a"}}},
		},
	}
}

func TestMedian(t *testing.T) {
	for want, values := range map[float64][]float64{3: {3}, 2: {3, 2, 1}, 2.5: {4, 1, 2, 3}} {
		if got := Median(values); got != want {
			t.Errorf("median of %v is %v, not %v", values, got, want)
		}
	}
}

func TestFixed(t *testing.T) {
	for want, got := range map[string]string{
		"0": Fixed(0.4, 0), "999": Fixed(999, 0), "1,000": Fixed(1000, 0), "-12,345.68": Fixed(-12345.678, 2), "1,234,567": Fixed(1234567, 0),
		"0.035": number(0.035, 3), "12.3": number(12.345, 3), "1230": number(1234, 3), "1": number(1, 3),
	} {
		if got != want {
			t.Errorf("%s, not %s", got, want)
		}
	}
}

func row(t *testing.T, table, title string) string {
	t.Helper()
	for line := range strings.Lines(table) {
		if strings.HasPrefix(line, "| "+title) {
			return strings.TrimSpace(line)
		}
	}
	t.Fatalf("no row %q in\n%s", title, table)
	return ""
}

func TestTargets(t *testing.T) {
	table := TargetTable([]Run{sample(0.5, 1, 1), sample(0.7, 1, 1)})
	for title, want := range map[string]string{
		// The first run meets the target for OpenSSH, the second misses it; both miss the other.
		"download aes128-gcm, CPU": "| ≤ 0.65 | 0.5, 0.7 **missed** | |  | ≤ 0.45 | 0.5, 0.7 **missed** | |  |",
		// More is better.
		"files of 4 KiB, one session, put, files/s": "| ≥ 1.2 | 0.5, 0.7 **missed** | |  | ≥ 1.6 | 0.5, 0.7 **missed** | |  |",
		// An absolute bound.
		"listing, replies": "| |  | |  | |  | ≤ 40 | 50, 70 **missed** |",
		// Not measured.
		"upload aes128-gcm, CPU": "| ≤ 0.8 | n/a, n/a | ≤ 0.65 | n/a, n/a | ≤ 0.52 | n/a, n/a | |  |",
		"listing, CPU":           "| ≤ 0.5 | n/a, n/a | |  | ≤ 0.45 | n/a, n/a | |  |",
	} {
		if got := row(t, table, title); got != "| "+title+" "+want {
			t.Errorf("%s\nnot\n| %s %s", got, title, want)
		}
	}
	if got := row(t, TargetTable([]Run{sample(0.4, 1, 1)}), "download aes128-gcm, CPU"); strings.Count(got, " met") != 2 {
		t.Error(got)
	}
}

// TestTargetsNameMetrics: a misspelled metric would never be measured.
func TestTargetsNameMetrics(t *testing.T) {
	known := map[string]bool{}
	for _, m := range Metrics {
		known[m.Name] = true
	}
	for _, x := range targets {
		if !known[x.metric] {
			t.Errorf("%s: no metric %s", x.title, x.metric)
		}
	}
	for _, b := range bars {
		if !known[b.metric] {
			t.Errorf("%s: no metric %s", b.title, b.metric)
		}
	}
}

func TestTables(t *testing.T) {
	tables := Tables(sample(0.5, 1, 2))
	for title, want := range map[string]string{
		"download": "| download | CPU s/GiB | 0.50 (0.00–1.00) | 1.00 | 0.5 | 2.00 | 0.25 |",
		"put <1>":  "| put <1> | files/s | 500 (0–1,000) | 1,000 | 0.5 | 2,000 | 0.25 |",
		"login":    "| login | | failed | n/a | |  | |",
	} {
		if got := row(t, tables, title); got != want {
			t.Errorf("%s\nnot\n%s", got, want)
		}
	}
	if strings.Count(tables, "### ") != 2 {
		t.Errorf("not two groups:\n%s", tables)
	}
}

func TestReplace(t *testing.T) {
	document := "before\n" + begin + "old\n" + end + "after\n"
	got, err := Replace(document, "new\n")
	if err != nil || got != "before\n"+begin+"\nnew\n\n"+end+"after\n" {
		t.Errorf("%v\n%s", err, got)
	}
	if again, err := Replace(got, "new\n"); err != nil || again != got {
		t.Errorf("not the same the second time: %v\n%s", err, again)
	}
	if _, err := Replace("nothing\n", "new\n"); err == nil {
		t.Error("a document without marks was accepted")
	}
}

func TestGeneratedNamesWhatIsMeasured(t *testing.T) {
	quick := sample(0.5, 1, 2)
	quick.Quick = true
	text := Generated(File{Runs: []Run{quick}})
	for _, want := range []string{"A quick run", "| sftpd | commit abc, passwords by argon2id |", "a CPU, 2 CPUs", "SSH-2.0-OpenSSH_9.2"} {
		if !strings.Contains(text, want) {
			t.Errorf("%q is missing in\n%s", want, text)
		}
	}
}

// TestChart: well-formed, with a bar for each server except OpenSSH, as long as the ratio, and within the picture.
func TestChart(t *testing.T) {
	chart := Chart(sample(0.5, 1, 2))
	decoder := xml.NewDecoder(strings.NewReader(chart))
	for {
		if _, err := decoder.Token(); err != nil {
			if !errors.Is(err, io.EOF) {
				t.Fatalf("%v\n%s", err, chart)
			}
			break
		}
	}
	for _, want := range []string{`width="100.0"`, `width="400.0"`, ">0.5<", ">2<", "prefers-color-scheme: dark"} {
		if !strings.Contains(chart, want) {
			t.Errorf("%s is missing in\n%s", want, chart)
		}
	}
}

// TestDocs: the documents match the results. They are written by `make bench`, and by `bin/bench -render` from existing
// results.
func TestDocs(t *testing.T) {
	f, err := Load("../../../docs/" + JSONFile)
	if err != nil {
		t.Fatal(err)
	}
	document, chart := read(t, DocumentFile), read(t, ChartFile)
	if want, err := Replace(document, Generated(f)); err != nil || want != document {
		t.Errorf("docs/%s is not current: run bin/bench -render (%v)", DocumentFile, err)
	}
	if chart != Chart(f.Runs[0]) {
		t.Errorf("docs/%s is not current: run bin/bench -render", ChartFile)
	}
}

func read(t *testing.T, name string) string {
	t.Helper()
	content, err := os.ReadFile("../../../docs/" + name)
	if err != nil {
		t.Fatal(err)
	}
	return string(content)
}
