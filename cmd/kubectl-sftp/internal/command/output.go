package command

import (
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"
	"sigs.k8s.io/yaml"
)

// outputFlag adds -o with the formats that a command has.
func (p *plugin) outputFlag(c *cobra.Command, formats ...string) {
	c.Flags().StringVarP(&p.output, "output", "o", "", "output format: "+strings.Join(formats, ", "))
	_ = c.RegisterFlagCompletionFunc("output", cobra.FixedCompletions(formats, cobra.ShellCompDirectiveNoFileComp)) // the flag exists
	run := c.RunE
	c.RunE = func(c *cobra.Command, args []string) error {
		if p.output != "" && !slices.Contains(formats, p.output) {
			return usageError("output format %q is not one of %s", p.output, strings.Join(formats, ", "))
		}
		return run(c, args)
	}
}

// data prints a value in a machine-readable form and reports whether -o asks for that.
func (p *plugin) data(v any) (bool, error) {
	switch p.output {
	case "json":
		e := json.NewEncoder(p.Out)
		e.SetIndent("", "  ")
		e.SetEscapeHTML(false)
		return true, e.Encode(v)
	case "yaml":
		out, err := yaml.Marshal(v)
		if err != nil {
			return true, err
		}
		_, err = p.Out.Write(out)
		return true, err
	}
	return false, nil
}

// table prints columns as kubectl does.
type table struct{ rows [][]string }

func (t *table) add(cells ...string) { t.rows = append(t.rows, cells) }

func (t *table) print(w io.Writer) error {
	const minWidth, tabWidth, padding = 0, 8, 3
	tw := tabwriter.NewWriter(w, minWidth, tabWidth, padding, ' ', 0)
	for _, row := range t.rows {
		for i, cell := range row {
			if cell == "" {
				row[i] = "-" // an empty cell would look like a gap
			}
		}
		fmt.Fprintln(tw, strings.Join(row, "\t"))
	}
	return tw.Flush()
}
