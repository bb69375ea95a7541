package report

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// Tables returns the medians of a run with their ratios: ours to each other server, and the minimum and maximum of all rounds.
func Tables(r Run) string {
	var b strings.Builder
	group := ""
	for _, w := range r.Workloads {
		if w.Group != group {
			group = w.Group
			fmt.Fprintf(&b, "\n### %s\n\n%s", group, header(r))
		}
		b.WriteString(rows(r, w))
	}
	return b.String()
}

func header(r Run) string {
	columns := []string{"|", " |", " |"}
	for _, label := range r.Labels {
		columns = append(columns, " "+label+" |")
		if label != ours {
			columns = append(columns, " ratio |")
		}
	}
	return strings.Join(columns, "") + "\n|" + strings.Repeat("---|", len(columns)-1) + "\n"
}

// rows returns the rows of a workload, one for each metric that any server has.
func rows(r Run, w Workload) string {
	var b strings.Builder
	title := w.Title
	for _, m := range Metrics {
		if !slices.ContainsFunc(w.Cells, func(c Cell) bool { return len(c.Values[m.Name]) > 0 }) {
			continue
		}
		fmt.Fprintf(&b, "| %s | %s |", title, m.Title)
		title = "" // once is enough
		for _, label := range r.Labels {
			fmt.Fprintf(&b, " %s |", cellText(w.cell(label), m))
			if label == ours {
				continue
			}
			if ratio, ok := r.ratio(w.ID, ours, label, m.Name); ok && m.Name != Processes {
				fmt.Fprintf(&b, " %s |", number(ratio, 3))
			} else {
				b.WriteString(" |")
			}
		}
		b.WriteByte('\n')
	}
	if b.Len() == 0 {
		fmt.Fprintf(&b, "| %s | |", title)
		for _, label := range r.Labels {
			fmt.Fprintf(&b, " %s |", w.cell(label).Note)
			if label != ours {
				b.WriteString(" |")
			}
		}
		b.WriteByte('\n')
	}
	return b.String()
}

// cellText returns a median and its spread, or why there is none.
func cellText(c Cell, m Metric) string {
	values := c.Values[m.Name]
	if len(values) == 0 {
		return c.Note
	}
	median := Fixed(Median(values), m.Digits)
	least, most := Fixed(slices.Min(values), m.Digits), Fixed(slices.Max(values), m.Digits)
	if least == most {
		return median
	}
	return fmt.Sprintf("%s (%s–%s)", median, least, most)
}

// Fixed formats a number with a number of digits after the point, and commas between thousands.
func Fixed(v float64, digits int) string {
	whole, fraction, _ := strings.Cut(strconv.FormatFloat(v, 'f', digits, 64), ".")
	sign := ""
	if strings.HasPrefix(whole, "-") {
		sign, whole = "-", whole[1:]
	}
	for at := len(whole) - 3; at > 0; at -= 3 {
		whole = whole[:at] + "," + whole[at:]
	}
	if fraction != "" {
		whole += "." + fraction
	}
	return sign + whole
}

// number formats a number with at most the given number of significant digits: ratios range from 0.01 to 100.
func number(v float64, digits int) string {
	return strconv.FormatFloat(round(v, digits), 'f', -1, 64)
}

func round(v float64, digits int) float64 {
	rounded, err := strconv.ParseFloat(strconv.FormatFloat(v, 'g', digits, 64), 64)
	if err != nil {
		return v
	}
	return rounded
}
