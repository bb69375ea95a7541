package main

import _ "embed"

// artifactHub is pushed next to the chart, with the tag artifacthub.io: it proves who owns the chart's address.
//
//go:embed artifacthub-repo.yml
var artifactHub []byte
