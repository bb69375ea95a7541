package main

import (
	"fmt"
	"os"
	"runtime/debug"
	"strconv"
)

// limitMemory sets the garbage collector's memory limit from the container's, which the pod passes in MEMORY_LIMIT, in bytes.
// Without it the heap may grow to twice the memory in use, and a container with enough memory would be killed. The remaining
// tenth is for memory outside the heap. GOMEMLIMIT (package runtime) takes precedence.
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
