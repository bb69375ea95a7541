package interop

import (
	"fmt"
	"slices"
	"strings"
)

// outcome collects what ran, for a table at the end.
type outcome struct {
	clients, rows []string
	passed        map[string]bool // by client and row
}

func (o *outcome) add(client, row string, passed bool) {
	if o.passed == nil {
		o.passed = map[string]bool{}
	}
	if !slices.Contains(o.clients, client) {
		o.clients = append(o.clients, client)
	}
	if !slices.Contains(o.rows, row) {
		o.rows = append(o.rows, row)
	}
	o.passed[client+"\x00"+row] = passed
}

func (o *outcome) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%-75s", "")
	for _, client := range o.clients {
		fmt.Fprintf(&b, " %-12s", client)
	}
	b.WriteByte('\n')
	for _, row := range o.rows {
		fmt.Fprintf(&b, "%-75s", row)
		for _, client := range o.clients {
			cell := "-"
			if passed, ran := o.passed[client+"\x00"+row]; ran {
				cell = map[bool]string{true: "ok", false: "FAILED"}[passed]
			}
			fmt.Fprintf(&b, " %-12s", cell)
		}
		b.WriteByte('\n')
	}
	return b.String()
}
