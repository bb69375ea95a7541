// Package crd embeds the CustomResourceDefinitions, so that manifests can be checked
// against them without a cluster.
package crd

import "embed"

// Bases holds bases/*.yaml.
//
//go:embed bases/*.yaml
var Bases embed.FS
