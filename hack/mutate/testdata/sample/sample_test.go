package sample

import "testing"

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
