package main

import (
	"fmt"
	"io"
	"os"

	"sigs.k8s.io/yaml"
)

const acceptedFile = "hack/mutate/accepted.yaml"

// entryKey names a mutant in accepted.yaml. It has no line number, so that code may move; after editing the
// statement itself, it has to be judged again.
type entryKey struct {
	Function string `json:"function"`
	Within   string `json:"within,omitempty"`
	Change   string `json:"change"`
	Nth      int    `json:"nth,omitempty"`
}

// entry is a mutant that no test needs to notice, and why.
type entry struct {
	entryKey
	Reason string `json:"reason"`
}

// readAccepted returns the reasons by package and mutant.
func readAccepted(path string) (map[string]map[entryKey]string, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	var lists map[string][]entry
	if err := yaml.UnmarshalStrict(data, &lists); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	out := map[string]map[entryKey]string{}
	for pkg, list := range lists {
		out[pkg] = map[entryKey]string{}
		for _, e := range list {
			if e.Nth == 0 {
				e.Nth = 1
			}
			if e.Reason == "" {
				return nil, fmt.Errorf("%s: %s: %s: %s has no reason", path, pkg, e.Function, e.text())
			}
			if out[pkg][e.entryKey] != "" {
				return nil, fmt.Errorf("%s: %s: %s: %s is listed twice", path, pkg, e.Function, e.text())
			}
			out[pkg][e.entryKey] = e.Reason
		}
	}
	return out, nil
}

// writeEntries prints entries without a reason for mutants that were not noticed.
func writeEntries(w io.Writer, r *result, accepted map[entryKey]string) error {
	var list []entry
	for _, m := range r.mutants {
		if v := r.verdicts[m]; !v.isNoticed() && v != untried && accepted[m.key()] == "" {
			e := entry{entryKey: m.key()}
			if e.Nth == 1 {
				e.Nth = 0
			}
			list = append(list, e)
		}
	}
	if len(list) == 0 {
		return nil
	}
	text, err := yaml.Marshal(map[string][]entry{r.path: list})
	if err == nil {
		_, err = w.Write(text)
	}
	return err
}
