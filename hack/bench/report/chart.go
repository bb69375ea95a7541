package report

import (
	"fmt"
	"html"
	"strings"
)

// bar is a line of the chart.
type bar struct{ title, workload, metric string }

var bars = []bar{
	{"download, aes128-gcm", "raw-aes128-gcm-32k-down", CPUPerGiB},
	{"upload, aes128-gcm", "raw-aes128-gcm-32k-up", CPUPerGiB},
	{"get, OpenSSH's client, defaults", "sftp-default-get", CPUPerGiB},
	{"put, OpenSSH's client, defaults", "sftp-default-put", CPUPerGiB},
	{"16 downloads at once", "parallel-16-down", CPUPerGiB},
	{"16 uploads at once", "parallel-16-up", CPUPerGiB},
	{"small files, get", "files-16-get", CPUPerFile},
	{"small files, put", "files-16-put", CPUPerFile},
	{"listing", "list", CPUPerEntry},
	{"login with a key", "login-curve25519", CPUPerLogin},
	{"memory of an idle session", "idle-1000", PSSPerSession},
}

// Sizes in pixels.
const (
	chartWidth = 720
	barsLeft   = 230
	barsWidth  = 400
	chartTop   = 64
	barHeight  = 14
	barGap     = 12
)

// The colors are legible on white and on black; text follows the reader's scheme.
const chartStyle = `<style>
text { font: 13px system-ui, sans-serif; fill: #1f2328 }
.title { font-size: 15px; font-weight: 600 }
.small { font-size: 11px; fill: #59636e }
.line { stroke: #59636e; stroke-dasharray: 4 3 }
.s0 { fill: #2f81f7 } .s1 { fill: #8b949e } .s2 { fill: #b08800 } .s3 { fill: #8957e5 }
@media (prefers-color-scheme: dark) { text { fill: #e6edf3 } .small { fill: #9198a1 } .line { stroke: #9198a1 } }
</style>
`

// Chart draws, as SVG, what work costs each server in comparison with OpenSSH.
func Chart(r Run) string {
	reference := label(r, openSSH)
	var labels []string
	for _, l := range r.Labels {
		if l != reference {
			labels = append(labels, l)
		}
	}
	most := 1.1
	var known []bar
	for _, b := range bars {
		found := false
		for _, l := range labels {
			if ratio, ok := r.ratio(b.workload, l, reference, b.metric); ok {
				most, found = max(most, ratio), true
			}
		}
		if found {
			known = append(known, b)
		}
	}
	scale := barsWidth / most
	rowHeight := len(labels)*barHeight + barGap
	height := chartTop + len(known)*rowHeight + barGap
	var s strings.Builder
	fmt.Fprintf(&s, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" role="img" aria-label="Cost of work on the server in comparison with OpenSSH">`+"\n",
		chartWidth, height)
	s.WriteString(chartStyle)
	fmt.Fprintf(&s, `<text class="title" x="16" y="24">Cost on the server, OpenSSH = 1 (less is better)</text>`+"\n")
	x := 16
	for i, l := range labels {
		fmt.Fprintf(&s, `<rect class="s%d" x="%d" y="36" width="12" height="12"/><text x="%d" y="47">%s</text>`+"\n", i%4, x, x+18, html.EscapeString(l))
		x += 40 + 8*len(l)
	}
	for row, b := range known {
		top := chartTop + row*rowHeight
		fmt.Fprintf(&s, `<text x="%d" y="%d" text-anchor="end">%s</text>`+"\n",
			barsLeft-10, top+len(labels)*barHeight/2+5, html.EscapeString(b.title))
		for i, l := range labels {
			ratio, ok := r.ratio(b.workload, l, reference, b.metric)
			if !ok {
				continue
			}
			y, width := top+i*barHeight, max(1, ratio*scale)
			fmt.Fprintf(&s, `<rect class="s%d" x="%d" y="%d" width="%.1f" height="%d"/><text class="small" x="%.1f" y="%d">%s</text>`+"\n",
				i%4, barsLeft, y, width, barHeight-2, barsLeft+width+6, y+barHeight-4, number(ratio, 2))
		}
	}
	one := barsLeft + scale
	fmt.Fprintf(&s, `<line class="line" x1="%.1f" x2="%.1f" y1="%d" y2="%d"/><text class="small" x="%.1f" y="%d" text-anchor="middle">%s</text>`+"\n",
		one, one, chartTop-6, height-6, one, chartTop-10, html.EscapeString(reference))
	s.WriteString("</svg>\n")
	return s.String()
}
