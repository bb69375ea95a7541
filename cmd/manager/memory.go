package main

import (
	"fmt"
	"os"
	"runtime/debug"
	"strconv"
)

// limitMemory tells the garbage collector of the container's memory limit, which the pod hands
// down in MEMORY_LIMIT, in bytes. Without it the heap may grow to twice of what is in use, and a
// container that had enough is killed. The tenth that it does not get is for what is no heap.
// GOMEMLIMIT (package runtime) comes first.
func limitMemory() error {
	value := os.Getenv("MEMORY_LIMIT")
	if value == "" || os.Getenv("GOMEMLIMIT") != "" {
		return nil
	}
	limit, err := strconv.ParseInt(value, 10, 64)
	if err != nil || limit <= 0 {
		return fmt.Errorf("MEMORY_LIMIT must be a number of bytes, but is %q", value)
	}
	debug.SetMemoryLimit(limit / 10 * 9)
	return nil
}
