// Package docs reads the commands out of the documentation, so that a test can type them.
package docs

import (
	"fmt"
	"io/fs"
	"path"
	"regexp"
	"slices"
	"strings"
)

// Command is one that a page tells its reader to type, with the lines by which it goes on, without the prompt and without a remark
// behind it.
type Command struct {
	Page string // path in the repository
	Line int    // from 1
	Text string
}

func (c Command) String() string { return fmt.Sprintf("%s:%d: %s", c.Page, c.Line, c.Text) }

// programs are what commands of the documentation begin with.
var programs = map[string]bool{"kubectl": true, "helm": true, "make": true, "go": true, "skopeo": true, "export": true, "tail": true}

// usage is how cobra ends the line that tells how a command is called, which is none to be typed.
const usage = " [flags]"

// Pages are the README, then the pages that the contents of docs list, in that order, then the runbooks; what takes the product away
// comes last. The error tells of a page below docs that no contents list.
func Pages(repository fs.FS) ([]string, error) {
	contents, err := fs.ReadFile(repository, "docs/README.md")
	if err != nil {
		return nil, fmt.Errorf("read the contents: %w", err)
	}
	pages, seen := []string{"README.md", "docs/README.md"}, map[string]bool{"README.md": true, "docs/README.md": true}
	for _, link := range links.FindAllStringSubmatch(string(contents), -1) {
		if page := path.Join("docs", link[1]); !seen[page] {
			pages, seen[page] = append(pages, page), true
		}
	}
	runbooks, err := fs.Glob(repository, "docs/runbooks/*.md")
	if err != nil {
		return nil, fmt.Errorf("find the runbooks: %w", err)
	}
	pages = append(pages, runbooks...)
	all, err := fs.Glob(repository, "docs/*.md")
	if err != nil {
		return nil, fmt.Errorf("find the pages: %w", err)
	}
	for _, page := range all {
		if !seen[page] {
			return nil, fmt.Errorf("docs/README.md does not list %s", page)
		}
	}
	return last(pages, uninstallPage, chartPage), nil
}

// The pages that end with the product taken away.
const (
	chartPage     = "charts/snapshot-group/README.md"
	uninstallPage = "docs/uninstall.md"
)

// links are those of a page to other pages.
var links = regexp.MustCompile(`\]\(([a-z./-]+\.md)\)`)

// last moves pages to the end.
func last(pages []string, those ...string) []string {
	moved := map[string]bool{}
	for _, page := range those {
		moved[page] = true
	}
	var out []string
	for _, page := range pages {
		if !moved[page] {
			out = append(out, page)
		}
	}
	return append(out, those...)
}

// Commands are those of a page, in their order: of its code blocks, indented or fenced, and those within a sentence, each on one line. A
// block holds commands alone, comments between them, or none; or, where a line begins with "$ ", what was typed and what came back. The
// error tells of a block that is neither.
func Commands(page, text string) ([]Command, error) {
	lines := strings.Split(text, "\n")
	var out []Command
	for _, b := range blocks(lines) {
		typed, err := b.commands(page)
		if err != nil {
			return nil, err
		}
		out = append(out, typed...)
		for i := range b.lines {
			lines[b.line-1+i] = ""
		}
	}
	for i, line := range lines {
		for _, found := range inline.FindAllStringSubmatch(line, -1) {
			out = append(out, Command{Page: page, Line: i + 1, Text: found[1]})
		}
	}
	slices.SortStableFunc(out, func(a, b Command) int { return a.Line - b.Line })
	return out, nil
}

// inline are the commands of a sentence: of kubectl those of four words at least, since shorter ones are but mentioned.
var inline = regexp.MustCompile("`(kubectl(?: [^ `]+){3,}|make [^`]+|go run [^`]+)`")

// block is a code block without its indentation; line is that of its first line.
type block struct {
	line  int
	lines []string
}

func blocks(lines []string) []block {
	var out []block
	fenced, inside := false, false
	blank := true // the line before
	for i, line := range lines {
		bare := strings.TrimSpace(line)
		indented := strings.HasPrefix(line, "    ")
		fence := strings.HasPrefix(bare, "```")
		switch {
		case fence:
			fenced, inside = !fenced, false
		case fenced, indented && (inside || blank), inside && bare == "":
			if !inside {
				out, inside = append(out, block{line: i + 1}), true
			}
			b := &out[len(out)-1]
			b.lines = append(b.lines, bare)
		default:
			inside = false
		}
		blank = bare == ""
	}
	return out
}

func (b block) commands(page string) ([]Command, error) {
	var out []Command
	transcript, words := false, false
	for i := 0; i < len(b.lines); i++ {
		line, prompted := strings.CutPrefix(b.lines[i], "$ ")
		transcript = transcript || prompted
		first, _, _ := strings.Cut(line, " ")
		switch {
		case line == "", strings.HasPrefix(line, "#"), strings.HasSuffix(line, usage), transcript && !prompted:
			continue
		case !programs[first]:
			if flags.MatchString(line) && i == 0 || prompted || len(out) > 0 {
				return nil, fmt.Errorf("%s:%d: %q begins with no program that is known", page, b.line+i, line)
			}
			words = true
			continue
		case words:
			return nil, fmt.Errorf("%s:%d: %q is a command among what is none", page, b.line+i, line)
		}
		c := Command{Page: page, Line: b.line + i, Text: line}
		for goesOn(b.lines[i]) && i+1 < len(b.lines) {
			i++
			c.Text += "\n" + b.lines[i]
		}
		c.Text = strings.TrimSpace(remark.ReplaceAllString(c.Text, ""))
		out = append(out, c)
	}
	return out, nil
}

// remark is what stands behind a command.
var remark = regexp.MustCompile(` +# .*$`)

// flags are what a line has that is a command, whatever its program.
var flags = regexp.MustCompile(`^[a-z][a-z0-9_-]* (.* )?--?[a-z]`)

func goesOn(line string) bool { return strings.HasSuffix(line, `\`) || strings.HasSuffix(line, "|") }
