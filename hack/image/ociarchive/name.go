package ociarchive

import (
	"fmt"
	"regexp"
	"strings"
)

var nameFormat = regexp.MustCompile(
	`^(?:[a-zA-Z0-9.-]+(?::[0-9]+)?/)?[a-z0-9]+(?:[._/-]+[a-z0-9]+)*:[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}$`)

// FullName spells an image's name as containerd stores it and as the kubelet requests it: with a registry, and with a tag.
// "sftp-operator:dev" is docker.io/library/sftp-operator:dev, "localhost/x" is localhost/x:latest.
func FullName(name string) (string, error) {
	if i := strings.LastIndex(name, ":"); i < 0 || strings.Contains(name[i:], "/") {
		name += ":latest"
	}
	if !nameFormat.MatchString(name) {
		return "", fmt.Errorf("image name %q: want [REGISTRY/]REPOSITORY[:TAG], the repository in lower case", name)
	}
	registry, rest, found := strings.Cut(name, "/")
	switch {
	case !found:
		return "docker.io/library/" + name, nil
	case !strings.ContainsAny(registry, ".:") && registry != "localhost":
		return "docker.io/" + name, nil
	case registry == "docker.io" && !strings.Contains(rest, "/"):
		return "docker.io/library/" + rest, nil
	}
	return name, nil
}
