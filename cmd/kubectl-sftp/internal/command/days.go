package command

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// days is a duration that may be given in days, the usual unit for the age of a key. It is a pflag.Value.
type days struct {
	time.Duration
	set bool
}

const day = 24 * time.Hour

// Set implements pflag.Value.
func (d *days) Set(s string) error {
	d.set = true
	if n, ok := strings.CutSuffix(s, "d"); ok {
		count, err := strconv.ParseUint(n, 10, 16)
		if err != nil {
			return fmt.Errorf("%q is not a number of days", s)
		}
		d.Duration = time.Duration(count) * day
		return nil
	}
	var err error
	d.Duration, err = time.ParseDuration(s)
	if err == nil && d.Duration < 0 {
		err = fmt.Errorf("%q is negative", s)
	}
	return err
}

// Type implements pflag.Value.
func (d *days) Type() string { return "duration" }

// String implements pflag.Value.
func (d *days) String() string {
	if !d.set {
		return ""
	}
	return d.Duration.String()
}
