// Package provenance writes the statement of how a release was built: SLSA provenance v1 in an in-toto statement v1. A local
// build claims no SLSA level; the workflow of the hosted forge adds its own, signed statement.
package provenance

import (
	"encoding/json"
	"strings"

	"github.com/sftp-operator/sftp-operator/hack/release/identity"
)

// PredicateType is the type of the statement's predicate.
const PredicateType = "https://slsa.dev/provenance/v1"

// Subject is an artifact and its digest.
type Subject struct {
	Name   string            `json:"name"`
	Digest map[string]string `json:"digest"`
}

// SHA256 returns the subject with a digest, which may begin with "sha256:".
func SHA256(name, digest string) Subject {
	return Subject{Name: name, Digest: map[string]string{"sha256": strings.TrimPrefix(digest, "sha256:")}}
}

type statement struct {
	Type          string    `json:"_type"`
	Subjects      []Subject `json:"subject"`
	PredicateType string    `json:"predicateType"`
	Predicate     predicate `json:"predicate"`
}

type predicate struct {
	BuildDefinition definition `json:"buildDefinition"`
	RunDetails      details    `json:"runDetails"`
}

type definition struct {
	BuildType    string            `json:"buildType"`
	External     map[string]string `json:"externalParameters"`
	Internal     map[string]string `json:"internalParameters"`
	Dependencies []resource        `json:"resolvedDependencies"`
}

type resource struct {
	URI    string            `json:"uri"`
	Digest map[string]string `json:"digest,omitempty"`
}

type details struct {
	Builder struct {
		ID string `json:"id"`
	} `json:"builder"`
}

// Statement returns the statement for subjects. It contains neither the time nor the place of the build, so that equal releases
// have equal statements.
func Statement(r identity.Release, goVersion string, subjects []Subject) ([]byte, error) {
	s := statement{
		Type: "https://in-toto.io/Statement/v1", Subjects: subjects, PredicateType: PredicateType,
		Predicate: predicate{BuildDefinition: definition{
			BuildType: identity.Source + "/tree/main/hack/release",
			External:  map[string]string{"version": r.Version, "source": "git+" + identity.Source},
			Internal:  map[string]string{"sourceDateEpoch": r.Time.Format("2006-01-02T15:04:05Z")},
			Dependencies: []resource{
				{URI: "git+" + identity.Source + "@" + r.Version, Digest: map[string]string{"gitCommit": r.Commit}},
				{URI: "pkg:golang/toolchain@" + strings.TrimPrefix(goVersion, "go")},
			},
		}},
	}
	s.Predicate.RunDetails.Builder.ID = identity.Source + "/blob/main/hack/release"
	if r.Dirty {
		s.Predicate.BuildDefinition.Internal["uncommittedChanges"] = "true"
	}
	out, err := json.MarshalIndent(s, "", "  ")
	return append(out, '\n'), err
}
