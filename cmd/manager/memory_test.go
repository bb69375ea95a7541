package main

import (
	"math"
	"runtime/debug"
	"testing"
)

func TestLimitMemory(t *testing.T) {
	const unlimited = math.MaxInt64
	for _, c := range []struct {
		name, limit, own string
		want             int64
		fails            bool
	}{
		{name: "none", want: unlimited},
		{name: "of the container", limit: "1000000000", want: 900_000_000},
		{name: "GOMEMLIMIT comes first", limit: "1000000000", own: "1GiB", want: unlimited},
		{name: "a quantity", limit: "1Gi", want: unlimited, fails: true},
		{name: "nothing", limit: "0", want: unlimited, fails: true},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Cleanup(func() { debug.SetMemoryLimit(unlimited) })
			t.Setenv("MEMORY_LIMIT", c.limit)
			t.Setenv("GOMEMLIMIT", c.own)
			if err := limitMemory(); (err != nil) != c.fails {
				t.Errorf("error %v, want one: %t", err, c.fails)
			}
			if got := debug.SetMemoryLimit(-1); got != c.want {
				t.Errorf("limit %d, want %d", got, c.want)
			}
		})
	}
}
