// Command check reads the pages that `make site` has built: every link within the site leads to an existing page and anchor, no
// page has an anchor twice, nothing is loaded from other sites, and every page of docs/ is in the navigation.
package main

import (
	"errors"
	"fmt"
	"html"
	"io/fs"
	"net/url"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"strings"
)

func main() {
	folder := "bin/site"
	if len(os.Args) > 1 {
		folder = os.Args[1]
	}
	pages, err := Check(os.DirFS(folder))
	if err == nil {
		err = listed(os.DirFS(folder), "docs")
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	fmt.Printf("%s: %d pages, no broken links\n", folder, pages)
}

var (
	linkPattern   = regexp.MustCompile(`<a\s[^>]*?href="([^"]*)"`)
	loadedPattern = regexp.MustCompile(`<(?:img|script|link|iframe|source|object)\s[^>]*?(?:src|href|data)="([^"]*)"`)
	idPattern     = regexp.MustCompile(`\sid="([^"]*)"`)
)

// Check reads all pages of a site, and returns how many there are.
func Check(site fs.FS) (pages int, err error) {
	places := map[string]map[string]bool{} // ids by page
	bodies := map[string]string{}
	var wrong []error
	err = fs.WalkDir(site, ".", func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() || path.Ext(name) != ".html" {
			return err
		}
		data, err := fs.ReadFile(site, name)
		bodies[name], places[name] = string(data), map[string]bool{}
		for _, match := range idPattern.FindAllStringSubmatch(bodies[name], -1) {
			id := html.UnescapeString(match[1])
			if places[name][id] { // a link to the second one leads to the first
				wrong = append(wrong, fmt.Errorf("%s has the anchor %s twice; rename a heading, or the element of the layout", name, id))
			}
			places[name][id] = true
		}
		return err
	})
	if err != nil {
		return 0, err
	}
	for name, body := range bodies {
		for _, match := range linkPattern.FindAllStringSubmatch(body, -1) {
			wrong = append(wrong, link(site, places, name, html.UnescapeString(match[1])))
		}
		for _, match := range loadedPattern.FindAllStringSubmatch(body, -1) {
			target := html.UnescapeString(match[1])
			if u, err := url.Parse(target); err != nil || u.Scheme != "" || u.Host != "" {
				wrong = append(wrong, fmt.Errorf("%s loads %s: nothing may be loaded from other sites", name, target))
			} else {
				wrong = append(wrong, link(site, places, name, target))
			}
		}
	}
	return len(bodies), errors.Join(wrong...)
}

// link checks one link of a page.
func link(site fs.FS, places map[string]map[string]bool, page, target string) error {
	u, err := url.Parse(target)
	if err != nil {
		return fmt.Errorf("%s: %w", page, err)
	}
	if u.Scheme != "" || u.Host != "" {
		return nil
	}
	to := page
	if u.Path != "" {
		to = path.Join(path.Dir(page), u.Path)
	}
	if _, err := fs.Stat(site, to); err != nil {
		return fmt.Errorf("%s: the link %s leads nowhere", page, target)
	}
	if ids, isPage := places[to]; isPage && u.Fragment != "" && !ids[u.Fragment] {
		return fmt.Errorf("%s: the link %s leads to a page without that anchor", page, target)
	}
	return nil
}

// listed checks that the home page, which is generated from the navigation, links to each page of the docs.
func listed(site fs.FS, docs string) error {
	home, err := fs.ReadFile(site, "index.html")
	if err != nil {
		return err
	}
	var wrong []error
	err = filepath.WalkDir(docs, func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() || filepath.Ext(name) != ".md" {
			return err
		}
		relative, err := filepath.Rel(docs, name)
		if err != nil {
			return err
		}
		page := strings.ToLower(strings.TrimSuffix(filepath.ToSlash(relative), ".md")) + ".html" // Hugo's addresses are in lower case
		if !strings.Contains(string(home), `"./`+page+`"`) && !strings.Contains(string(home), `"`+page+`"`) {
			wrong = append(wrong, fmt.Errorf("%s is not in hack/site/data/navigation.yaml", name))
		}
		return nil
	})
	return errors.Join(append(wrong, err)...)
}
