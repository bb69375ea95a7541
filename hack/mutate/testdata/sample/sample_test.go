package sample

import (
	"os"
	"testing"
	"time"
)

func TestName(t *testing.T) {
	if s, err := Name(" 0123456789 "); s != "0123456789" || err != nil {
		t.Error(s, err)
	}
	if s, err := Name("0123456789x"); s != "" || err == nil {
		t.Error(s, err)
	}
}

func TestSum(t *testing.T) {
	if n := Sum([]int{1, -5, 7}); n != 8 {
		t.Error(n)
	}
}

func TestSlow(t *testing.T) {
	if os.Getenv("SAMPLE_IS_SLOW") != "" {
		time.Sleep(time.Hour)
	}
	if Sum(nil) != 0 {
		t.Error("there is something")
	}
}
