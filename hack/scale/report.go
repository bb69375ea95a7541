package main

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"
)

const (
	begin = "<!-- Generated: make scale WRITE=1 -->\n"
	end   = "<!-- End of the generated part -->\n"
)

// results of a run.
type results struct {
	Quick  bool
	Daemon []daemonResult
	Single []fleetResult // one listener
	Fleet  []fleetResult
}

// write puts the tables into their places in a document. Tables that were not measured stay as they are.
func (r *results) write(file string) error {
	text, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	before, rest, ok := strings.Cut(string(text), begin)
	old, after, found := strings.Cut(rest, end)
	if !ok || !found {
		return errors.New(file + ": the marks of the generated part are missing")
	}
	return os.WriteFile(file, []byte(before+begin+"\n"+r.tables(old)+"\n"+end+after), 0o644)
}

// tables returns the measured tables, and the earlier version of those that were not measured.
func (r *results) tables(old string) string {
	var out []string
	if r.Quick {
		out = append(out, "**A quick run: it shows that everything works.**")
	}
	section := func(title string, measured bool, table func() string) {
		text := ""
		if measured {
			text = table()
		} else if _, rest, ok := strings.Cut("\n"+old, "\n### "+title+"\n"); ok {
			text, _, _ = strings.Cut(rest, "\n### ")
		}
		if text = strings.TrimSpace(text); text != "" {
			out = append(out, "### "+title, text)
		}
	}
	section("The daemon", len(r.Daemon) > 0, func() string { return daemonTable(r.Daemon) })
	section("One listener", len(r.Single) > 0, func() string { return fleetTable(r.Single) })
	section("The fleet", len(r.Fleet) > 0, func() string { return fleetTable(r.Fleet) })
	return strings.Join(out, "\n\n") + "\n"
}

// table puts results next to each other: one row per quantity, one column per result.
func table[R any](results []R, rows []row[R]) string {
	var b strings.Builder
	for i, row := range rows {
		b.WriteString("| " + row.name)
		for _, r := range results {
			b.WriteString(" | " + row.value(r))
		}
		b.WriteString(" |\n")
		if i == 0 {
			b.WriteString("|---" + strings.Repeat("|--:", len(results)) + "|\n")
		}
	}
	return strings.TrimSuffix(b.String(), "\n")
}

type row[R any] struct {
	name  string
	value func(R) string
}

func daemonTable(results []daemonResult) string {
	return table(results, []row[daemonResult]{
		{"Users, with two keys each", func(r daemonResult) string { return count(r.Users) }},
		{"Shards", func(r daemonResult) string { return count(r.Shards) }},
		{"Start → all loaded", func(r daemonResult) string { return duration(r.Start) }},
		{"One user changes → loaded", func(r daemonResult) string { return duration(r.Reload) }},
		{"CPU time for that", func(r daemonResult) string { return duration(r.CPU) }},
		{"Settings change → loaded, all users parsed again", func(r daemonResult) string { return duration(r.ReloadAll) }},
		{"CPU time for that", func(r daemonResult) string { return duration(r.AllCPU) }},
		{"Memory (RSS) with one session", func(r daemonResult) string { return size(r.RSS) }},
		{"at most, after 50 reloads in a row", func(r daemonResult) string { return size(r.Peak) }},
		{"A session's requests at rest: p50 / p99 / longest", func(r daemonResult) string { return r.Idle.String() }},
		{"while one user changes", func(r daemonResult) string { return r.Live.String() }},
		{"while the settings do", func(r daemonResult) string { return r.LiveAll.String() }},
	})
}

func fleetTable(results []fleetResult) string {
	return table(results, []row[fleetResult]{
		{"Listeners × users", func(r fleetResult) string { return fmt.Sprintf("%s × %s", count(r.Listeners), count(r.Users)) }},
		{"All made and ready", func(r fleetResult) string { return duration(r.Made) }},
		{"writes of the operator for that", func(r fleetResult) string { return count(r.MadeWrites) }},
		{"One change → Ready, p50", func(r fleetResult) string { return duration(r.P50) }},
		{"p99", func(r fleetResult) string { return duration(r.P99) }},
		{"API writes per change", func(r fleetResult) string { return fmt.Sprintf("%.1f", r.Writes) }},
		{"bytes written per change", func(r fleetResult) string { return size(int64(r.Bytes)) }},
		{"API reads per change", func(r fleetResult) string { return fmt.Sprintf("%.1f", r.Reads) }},
		{"CPU time per change", func(r fleetResult) string { return duration(r.CPU) }},
		{"Memory limit of the operator", func(r fleetResult) string { return size(r.Memory) }},
		{"memory (RSS) after the changes", func(r fleetResult) string { return size(r.RSS) }},
		{"maximum until then", func(r fleetResult) string { return size(r.Peak) }},
		{"API calls a minute at rest", func(r fleetResult) string { return fmt.Sprintf("%.0f", r.RestCalls) }},
		{"CPU at rest", func(r fleetResult) string { return fmt.Sprintf("%.1f %%", 100*r.RestCPU) }},
		{"Restart → every pod asked", func(r fleetResult) string { return duration(r.Restart) }},
		{"API reads for that", func(r fleetResult) string { return count(r.RestartReads) }},
		{"API writes for that", func(r fleetResult) string { return count(r.RestartWrites) }},
		{"maximum memory after it", func(r fleetResult) string { return size(r.RestartPeak) }},
	})
}

func count(n int) string {
	s := strconv.Itoa(n)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

func size(n int64) string {
	if n < 1<<20 {
		return fmt.Sprintf("%.1f KiB", float64(n)/(1<<10))
	}
	return fmt.Sprintf("%.0f MiB", float64(n)/(1<<20))
}

func duration(d time.Duration) string {
	switch {
	case d < 10*time.Millisecond:
		return fmt.Sprintf("%.1f ms", float64(d)/float64(time.Millisecond))
	case d < time.Second:
		return fmt.Sprintf("%d ms", d.Milliseconds())
	case d < 2*time.Minute:
		return fmt.Sprintf("%.1f s", d.Seconds())
	default:
		return fmt.Sprintf("%.1f min", d.Minutes())
	}
}
