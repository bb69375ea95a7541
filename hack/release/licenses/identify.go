package licenses

import "strings"

// known are sentences that only one license contains. The first match decides.
var known = []struct{ id, sentence string }{
	{"Apache-2.0", "apache license version 2.0"},
	{"MPL-2.0", "mozilla public license version 2.0"},
	{"ISC", "permission to use, copy, modify, and/or distribute this software for any purpose"},
	{"ISC", "permission to use, copy, modify, and distribute this software for any purpose"},
	{"CC0-1.0", "cc0 1.0 universal"},
	{"Unlicense", "this is free and unencumbered software released into the public domain"},
	{"MIT", "permission is hereby granted, free of charge, to any person obtaining a copy"},
}

// Identify returns the SPDX identifier of a license's text, or "" for a text that is not a license or not known here.
func Identify(text string) string {
	text = strings.Join(strings.Fields(strings.ToLower(strings.ReplaceAll(text, ",", ", "))), " ")
	text = strings.ReplaceAll(text, "license, version", "license version")
	if strings.Contains(text, "redistribution and use in source and binary forms") {
		if strings.Contains(text, "endorse or promote") {
			return "BSD-3-Clause"
		}
		return "BSD-2-Clause"
	}
	for _, k := range known {
		if strings.Contains(text, k.sentence) {
			return k.id
		}
	}
	return ""
}

// Table returns the licenses as lines of module, version and SPDX identifiers, separated by commas, with a heading.
func Table(licenses []License) []byte {
	var b strings.Builder
	b.WriteString("module,version,licenses\n")
	for _, l := range licenses {
		b.WriteString(l.Module + "," + l.Version + "," + strings.Join(l.IDs, " AND ") + "\n")
	}
	return []byte(b.String())
}
