package monitoring

import (
	"slices"
	"testing"
)

func TestMetricsOf(t *testing.T) {
	for expr, want := range map[string][]string{
		`absent(a_b)`: {"a_b"},
		`sum by (x, y) (rate(a_total{z="b_c", y=~"q"}[10m] and on (job, instance) c_info)) > 0.02`:        {"a_total", "c_info"},
		`histogram_quantile(0.9, sum by (le) (rate(a_seconds_bucket[$__rate_interval]))) > 10`:            {"a_seconds_bucket"},
		`(max by (n) (a_seconds) > 0) - time() < 14 * 86400`:                                              {"a_seconds"},
		`a{s="ready"} - ignoring (s) a{s="b"} > 0`:                                                        {"a"},
		`(count(a{namespace=~"$namespace"} == 0) or vector(0)) + max by (name) (depth and on (j) b_info)`: {"a", "b_info", "depth"},
	} {
		if got := metricsOf(expr); !slices.Equal(got, want) {
			t.Errorf("%s: %q, want %q", expr, got, want)
		}
	}
}
