package monitoring

import (
	"encoding/json"
	"maps"
	"regexp"
	"slices"
	"strings"
	"testing"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
)

// maxSeries limits the number of the daemon's series whose label values it chooses itself, in a test that makes it use many.
const maxSeries = 250

// CheckScrapes compares scrapes of a daemon and of an operator that have been in use, and of a relay, with docs/monitoring.md, the rules and the
// dashboard. forbidden are texts that clients chose: no label may contain one.
func CheckScrapes(t testing.TB, daemon, operator string, forbidden ...string) {
	t.Helper()
	scraped := map[string]*dto.MetricFamily{}
	for name, text := range map[string]string{"daemon": daemon, "operator": operator, "relay": relayScrape(t)} {
		promtool(t, "", []byte(ownMetrics(text)), "check", "metrics")
		parser := expfmt.NewTextParser(model.LegacyValidation)
		families, err := parser.TextToMetricFamilies(strings.NewReader(text))
		if err != nil {
			t.Fatalf("scrape of the %s: %v", name, err)
		}
		if len(families) == 0 {
			t.Fatalf("scrape of the %s is empty: %s", name, text)
		}
		series := 0
		for family, f := range families {
			if strings.HasPrefix(family, "sftpd_") {
				series += len(f.GetMetric())
			}
			for _, word := range forbidden {
				if strings.Contains(f.String(), word) {
					t.Errorf("%s has a label with text that a client chose, %q: %s", family, word, f)
				}
			}
		}
		if series > maxSeries {
			t.Errorf("%d series", series)
		}
		maps.Copy(scraped, families)
	}
	compareWithPage(t, scraped)
	compareWithUse(t, scraped)
}

// ownMetrics returns the metrics of the two programs, without those of libraries.
func ownMetrics(text string) string {
	var out strings.Builder
	for line := range strings.Lines(text) {
		name := strings.TrimPrefix(strings.TrimPrefix(line, "# HELP "), "# TYPE ")
		if isOwn(name) {
			out.WriteString(line)
		}
	}
	return out.String()
}

func isOwn(name string) bool {
	return strings.HasPrefix(name, "sftpd_") || strings.HasPrefix(name, "sftp_relay_") || strings.HasPrefix(name, "sftp_operator_")
}

type documented struct {
	kind   string
	labels []string
}

var (
	metricRow = regexp.MustCompile("(?m)^\\| `([a-z_]+)` \\| (counter|gauge|histogram) \\| ([^|]*)\\|")
	quoted    = regexp.MustCompile("`([a-z_]+)`")
)

// page returns the metrics in docs/monitoring.md.
func page(t testing.TB) map[string]documented {
	t.Helper()
	out := map[string]documented{}
	for _, m := range metricRow.FindAllStringSubmatch(string(read(t, "docs/monitoring.md")), -1) {
		d := documented{kind: m[2]}
		for _, l := range quoted.FindAllStringSubmatch(m[3], -1) {
			d.labels = append(d.labels, l[1])
		}
		slices.Sort(d.labels)
		if _, twice := out[m[1]]; twice {
			t.Errorf("docs/monitoring.md has %s twice", m[1])
		}
		out[m[1]] = d
	}
	return out
}

func compareWithPage(t testing.TB, scraped map[string]*dto.MetricFamily) {
	t.Helper()
	pages := page(t)
	for name, f := range scraped {
		want, ok := pages[name]
		if !ok {
			if isOwn(name) {
				t.Errorf("docs/monitoring.md does not have %s", name)
			}
			continue
		}
		if kind := strings.ToLower(f.GetType().String()); kind != want.kind {
			t.Errorf("docs/monitoring.md calls %s a %s, but it is a %s", name, want.kind, kind)
		}
		for _, m := range f.GetMetric() {
			var labels []string
			for _, l := range m.GetLabel() {
				labels = append(labels, l.GetName())
			}
			if slices.Sort(labels); !slices.Equal(labels, want.labels) {
				t.Errorf("docs/monitoring.md gives %s the labels %v, but it has %v", name, want.labels, labels)
			}
		}
	}
	for name := range pages {
		if scraped[name] == nil {
			t.Errorf("docs/monitoring.md has %s, which no scrape has", name)
		}
	}
}

func compareWithUse(t testing.TB, scraped map[string]*dto.MetricFamily) {
	t.Helper()
	pages := page(t)
	used := map[string]bool{}
	for _, e := range expressions(t) {
		names := metricsOf(e)
		if len(names) == 0 {
			t.Errorf("no metric in %q", e)
		}
		for _, name := range names {
			for _, suffix := range []string{"_bucket", "_sum", "_count"} {
				if base, ok := strings.CutSuffix(name, suffix); ok && scraped[name] == nil {
					name = base
				}
			}
			if used[name] = true; scraped[name] == nil {
				t.Errorf("no scrape has %s of %q", name, e)
			}
			if _, ok := pages[name]; !ok {
				t.Errorf("docs/monitoring.md does not have %s of %q", name, e)
			}
		}
	}
	for name := range pages {
		if !used[name] {
			t.Errorf("neither an alert nor a panel uses %s", name)
		}
	}
}

// expressions of the rules and the dashboard.
func expressions(t testing.TB) []string {
	t.Helper()
	var out []string
	for _, g := range readRules(t) {
		for _, r := range g.Rules {
			out = append(out, r.Expr)
		}
	}
	var dashboard struct {
		Panels []struct {
			Targets []struct {
				Expr string `json:"expr"`
			} `json:"targets"`
		} `json:"panels"`
		Templating struct {
			List []struct {
				Query json.RawMessage `json:"query"`
			} `json:"list"`
		} `json:"templating"`
	}
	if err := json.Unmarshal(read(t, "config/prometheus/dashboard.json"), &dashboard); err != nil {
		t.Fatal(err)
	}
	for _, p := range dashboard.Panels {
		for _, target := range p.Targets {
			out = append(out, target.Expr)
		}
	}
	if len(out) < 40 {
		t.Fatalf("only %d expressions", len(out))
	}
	return out
}

var (
	// The parts of an expression that are not metrics: strings, selectors, ranges, lists of labels, functions, and numbers.
	notMetric = regexp.MustCompile(`"[^"]*"|\{[^}]*\}|\[[^\]]*\]|` +
		`\b(?:by|on|ignoring|without|group_left|group_right) *\([^)]*\)|\b[a-z_0-9]+ *\(|\b[0-9.]+\b`)
	word     = regexp.MustCompile(`\b[a-z_][a-z0-9_]*\b`)
	keywords = []string{"and", "or", "unless", "offset", "bool", "by", "on"}
)

// metricsOf returns the names of the metrics in an expression.
func metricsOf(expr string) []string {
	rest := notMetric.ReplaceAllString(expr, " ")
	var out []string
	for _, w := range word.FindAllString(rest, -1) {
		if !slices.Contains(keywords, w) {
			out = append(out, w)
		}
	}
	slices.Sort(out)
	return slices.DeleteFunc(slices.Compact(out), func(w string) bool { return slices.Contains([]string{"sum", "max", "min", "count", "topk"}, w) })
}
