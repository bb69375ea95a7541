// Package sample is the code that the tests of the tool mutate.
package sample

import (
	"errors"
	"strings"
)

const limit = 10

// Name cleans a name and refuses one that is too long.
func Name(s string) (string, error) {
	s = strings.TrimSpace(s)
	if len(s) > limit {
		return "", errors.New("too long")
	}
	return s, nil
}

// Sum adds the positive numbers.
func Sum(list []int) (n int) {
	for _, v := range list {
		if v > 0 && v < 100 {
			n += v
		}
	}
	return n
}

// Idle is called by no test.
func Idle(n int) bool { return n > limit }
