package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"go/ast"
	"go/importer"
	"go/parser"
	"go/token"
	"go/types"
	"io"
	"os"
	"os/exec"
	"path/filepath"
)

// source is a package with its types.
type source struct {
	name    string // of the package clause
	dir     string
	fset    *token.FileSet
	files   []*file
	info    *types.Info
	pkg     *types.Package
	exports map[string]string // import path to export data
	imports types.Importer    // keeps what it has read
}

// file is one of its files.
type file struct {
	name string // base name
	path string
	text []byte
	tree *ast.File
}

type listed struct {
	ImportPath, Name, Dir, Export string
	GoFiles                       []string
	DepOnly, Standard             bool
}

// goList runs go list and returns its output.
func goList(ctx context.Context, args ...string) ([]byte, error) {
	out, err := exec.CommandContext(ctx, "go", append([]string{"list"}, args...)...).Output()
	if exit := (*exec.ExitError)(nil); errors.As(err, &exit) {
		return nil, fmt.Errorf("go list: %w: %s", err, exit.Stderr)
	}
	return out, err
}

// load parses and checks a package. Its dependencies are read from the compiler's export data.
func load(ctx context.Context, path string) (*source, error) {
	// The last four are what the guards import.
	out, err := goList(ctx, "-export", "-deps", "-json=ImportPath,Name,Dir,Export,GoFiles,DepOnly,Standard", "./"+path, "fmt", "os", "strconv", "sync")
	if err != nil {
		return nil, err
	}
	s := &source{fset: token.NewFileSet(), exports: map[string]string{}}
	var asked listed
	for d := json.NewDecoder(bytes.NewReader(out)); ; {
		var l listed
		if err := d.Decode(&l); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			return nil, err
		}
		s.exports[l.ImportPath] = l.Export
		if !l.DepOnly && !l.Standard {
			asked = l
		}
	}
	s.name, s.dir = asked.Name, asked.Dir
	s.imports = importer.ForCompiler(s.fset, "gc", func(path string) (io.ReadCloser, error) { return os.Open(s.exports[path]) })
	var trees []*ast.File
	for _, name := range asked.GoFiles {
		f := &file{name: name, path: filepath.Join(s.dir, name)}
		if f.text, err = os.ReadFile(f.path); err != nil {
			return nil, err
		}
		if f.tree, err = parser.ParseFile(s.fset, f.path, f.text, parser.ParseComments|parser.SkipObjectResolution); err != nil {
			return nil, err
		}
		s.files = append(s.files, f)
		trees = append(trees, f.tree)
	}
	s.info = &types.Info{Types: map[ast.Expr]types.TypeAndValue{}, Uses: map[*ast.Ident]types.Object{}, Defs: map[*ast.Ident]types.Object{}}
	s.pkg, err = (&types.Config{Importer: s.imports}).Check(asked.ImportPath, s.fset, trees, s.info)
	if err == nil {
		err = s.check(guarded(s, nil)) // otherwise no mutant would compile, and all would be dropped
	}
	return s, err
}

// check reports whether the package compiles with these texts of its files instead, and one additional file.
func (s *source) check(texts map[string]string) error {
	fset := token.NewFileSet()
	var trees []*ast.File
	for name, text := range texts {
		tree, err := parser.ParseFile(fset, name, text, parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		trees = append(trees, tree)
	}
	_, err := (&types.Config{Importer: s.imports}).Check(s.pkg.Path(), fset, trees, nil)
	return err
}
