// Command values makes of a chart's commented values.yaml what would otherwise repeat it: values.schema.json, by which helm refuses a
// wrong value, and the table of values in the chart's README.
package main

import (
	"errors"
	"fmt"
	"os"
	"strings"
)

const usage = `usage: values schema VALUES          prints the schema
       values readme VALUES README   prints the README with the table of values as it should be`

func main() {
	if len(os.Args) < 3 {
		fmt.Fprintln(os.Stderr, usage)
		os.Exit(2)
	}
	out, err := run(os.Args[1], os.Args[2:])
	if err != nil {
		fmt.Fprintln(os.Stderr, "values:", err)
		os.Exit(1)
	}
	fmt.Print(out)
}

func run(command string, files []string) (string, error) {
	text, err := os.ReadFile(files[0])
	if err != nil {
		return "", err
	}
	root, err := parse(text)
	if err != nil {
		return "", fmt.Errorf("%s: %w", files[0], err)
	}
	switch {
	case command == "schema" && len(files) == 1:
		return schema(root)
	case command == "readme" && len(files) == 2:
		page, err := os.ReadFile(files[1])
		if err != nil {
			return "", err
		}
		return readme(string(page), root)
	default:
		return "", errors.New(usage)
	}
}

// The table stands between these lines.
const (
	begin = "<!-- values: from values.yaml, by make docs -->\n"
	end   = "<!-- end of values -->\n"
)

// readme replaces the table of a page. The error says that the page has no place for it.
func readme(page string, root *value) (string, error) {
	before, rest, found := strings.Cut(page, begin)
	_, after, ended := strings.Cut(rest, end)
	if !found || !ended {
		return "", errors.New("the lines that enclose the table are missing from the README")
	}
	var b strings.Builder
	b.WriteString("\n| value | what it is | default |\n|---|---|---|\n")
	for _, v := range root.children {
		if err := rows(&b, "", v); err != nil {
			return "", err
		}
	}
	b.WriteString("\n")
	return before + begin + b.String() + end + after, nil
}

// rows writes the row of a value, then those of the values in it. What only groups others and has no comment has none.
func rows(b *strings.Builder, prefix string, v *value) error {
	if v.description != "" {
		shown := ""
		if len(v.children) == 0 {
			text, err := compact(v.content)
			if err != nil {
				return err
			}
			shown = "`" + text + "`"
		}
		cell := strings.NewReplacer("|", `\|`, "\n", " ").Replace
		fmt.Fprintf(b, "| `%s%s` | %s | %s |\n", prefix, v.name, cell(v.description), cell(shown))
	}
	for _, child := range v.children {
		if err := rows(b, prefix+v.name+".", child); err != nil {
			return err
		}
	}
	return nil
}
