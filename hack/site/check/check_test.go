package main

import (
	"strings"
	"testing"
	"testing/fstest"
)

func TestCheck(t *testing.T) {
	for title, test := range map[string]struct{ page, want string }{
		"good":                   {`<h1 id="a">x</h1><a href="#a">a</a><a class="b" href="./o/other.html#b">b</a><a href="https://example.org/x">c</a>`, ""},
		"no such page":           {`<a href="missing.html">a</a>`, "missing.html leads nowhere"},
		"no such place":          {`<a href="o/other.html#c">a</a>`, "without that anchor"},
		"no such place here":     {`<a href="#c">a</a>`, "without that anchor"},
		"an anchor twice":        {`<h1 id="a">x</h1><ol id="a"></ol>`, "the anchor a twice"},
		"an image of another":    {`<img alt="" src="https://example.org/x.png">`, "nothing may be loaded from other sites"},
		"a script without https": {`<script src="//example.org/x.js"></script>`, "nothing may be loaded from other sites"},
		"a style that is absent": {`<link rel="stylesheet" href="x.css">`, "leads nowhere"},
	} {
		site := fstest.MapFS{
			"index.html":   {Data: []byte(test.page)},
			"o/other.html": {Data: []byte(`<h2 id="b">x</h2><a href="../index.html">up</a>`)},
		}
		_, err := Check(site)
		if (err == nil) != (test.want == "") || err != nil && !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: %v, want %q", title, err, test.want)
		}
	}
}
