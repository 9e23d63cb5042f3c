// Command hygiene checks a checkout for the rules of CONTRIBUTING.md that no linter knows: every target of the Makefile has a help line,
// and no package has more than ten files besides its tests.
package main

import (
	"fmt"
	"io/fs"
	"os"
	"path"
	"slices"
	"strings"
)

// filesPerPackage is how many Go files a package may have, tests not counted.
const filesPerPackage = 10

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: hygiene CHECKOUT")
		os.Exit(2)
	}
	findings, err := check(os.DirFS(os.Args[1]))
	if err != nil {
		fmt.Fprintln(os.Stderr, "hygiene:", err)
		os.Exit(2)
	}
	for _, f := range findings {
		fmt.Fprintln(os.Stderr, f)
	}
	if len(findings) > 0 {
		os.Exit(1)
	}
}

// check returns what is wrong with a checkout, one line each. An error means that the checkout could not be read.
func check(checkout fs.FS) ([]string, error) {
	makefile, err := fs.ReadFile(checkout, "Makefile")
	if err != nil {
		return nil, fmt.Errorf("read Makefile: %w", err)
	}
	counts, err := goFiles(checkout)
	if err != nil {
		return nil, fmt.Errorf("count Go files: %w", err)
	}
	return append(targetsWithoutHelp(string(makefile)), crowded(counts)...), nil
}

// targetsWithoutHelp looks at targets that are typed: variables, files in folders and make's own (.PHONY) are none.
func targetsWithoutHelp(makefile string) []string {
	var findings []string
	for line := range strings.Lines(makefile) {
		target, rest, found := strings.Cut(line, ":")
		if !found || strings.HasPrefix(rest, "=") || strings.Trim(target, "abcdefghijklmnopqrstuvwxyz0123456789-_ ") != "" {
			continue
		}
		if _, help, found := strings.Cut(rest, "## "); !found || strings.TrimSpace(help) == "" {
			findings = append(findings, fmt.Sprintf("Makefile: target %q has no help line: add ## and what it is for", target))
		}
	}
	return findings
}

// goFiles counts the Go files of each folder, tests not counted. Folders that git ignores hold none of ours.
func goFiles(checkout fs.FS) (map[string]int, error) {
	counts := map[string]int{}
	err := fs.WalkDir(checkout, ".", func(at string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case entry.IsDir() && at != "." && (strings.HasPrefix(entry.Name(), ".") || at == "bin" || at == "dist"):
			return fs.SkipDir
		case strings.HasSuffix(at, ".go") && !strings.HasSuffix(at, "_test.go"):
			counts[path.Dir(at)]++
		}
		return nil
	})
	return counts, err
}

func crowded(counts map[string]int) []string {
	var findings []string
	for folder, count := range counts {
		if count > filesPerPackage {
			findings = append(findings, fmt.Sprintf("%s: %d Go files, at most %d: split the package", folder, count, filesPerPackage))
		}
	}
	slices.Sort(findings)
	return findings
}
