// Package licenses collects the licenses of everything that programs contain. Only licenses that allow the programs to be
// redistributed with nothing but the license text are accepted.
package licenses

import (
	"errors"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/sftp-operator/sftp-operator/hack/release/archive"
	"github.com/sftp-operator/sftp-operator/hack/release/compile"
)

// License is the license of a module, as far as it concerns the packages in use.
type License struct {
	Module  string   // path
	Version string   // empty for Go's standard library
	IDs     []string // of SPDX, sorted
	Files   []archive.File
}

var (
	licenseFile = regexp.MustCompile(`(?i)^(un)?licen[sc]e|^copying|^notice|^patents`)
	sourceFile  = regexp.MustCompile(`\.(go|s|c|h)$`)
)

// Collect finds the licenses of packages: in their folders and those above, up to the top of their modules. It fails where a
// module has no license, or one that is not known here.
func Collect(packages []compile.Package) ([]License, error) {
	found := map[string]map[string]string{} // files in the list, with their locations, by module
	for _, p := range packages {
		if found[p.Module] == nil {
			found[p.Module] = map[string]string{}
		}
		for folder := p.Folder; ; folder = filepath.Dir(folder) {
			if err := search(found[p.Module], p.TopDir, folder); err != nil {
				return nil, err
			}
			if folder == p.TopDir {
				break
			}
			if folder == filepath.Dir(folder) {
				return nil, fmt.Errorf("%s: %s is outside of its module %s", p.Module, p.Folder, p.TopDir)
			}
		}
	}
	var licenses []License
	var wrong []error
	for module, files := range found {
		license, err := read(module, files)
		wrong = append(wrong, err)
		licenses = append(licenses, license)
	}
	slices.SortFunc(licenses, func(a, b License) int { return strings.Compare(a.Module, b.Module) })
	return licenses, errors.Join(wrong...)
}

func search(files map[string]string, top, folder string) error {
	entries, err := os.ReadDir(folder)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if e.Type().IsRegular() && licenseFile.MatchString(e.Name()) && !sourceFile.MatchString(e.Name()) {
			file := filepath.Join(folder, e.Name())
			relative, err := filepath.Rel(top, file)
			if err != nil {
				return err
			}
			files[filepath.ToSlash(relative)] = file
		}
	}
	return nil
}

func read(module string, files map[string]string) (License, error) {
	license := License{}
	license.Module, license.Version, _ = strings.Cut(module, "@")
	for name, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			return license, err
		}
		id := Identify(string(text))
		if id != "" && !slices.Contains(license.IDs, id) {
			license.IDs = append(license.IDs, id)
		}
		license.Files = append(license.Files, archive.File{Name: path.Join(module, name), Mode: 0o644, Data: text})
	}
	slices.Sort(license.IDs)
	slices.SortFunc(license.Files, func(a, b archive.File) int { return strings.Compare(a.Name, b.Name) })
	if len(license.IDs) == 0 {
		return license, fmt.Errorf("%s: no license, or one that hack/release/licenses does not know: review it, then add it there", module)
	}
	return license, nil
}
