package session

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/cli-runtime/pkg/genericclioptions"
	"k8s.io/cli-runtime/pkg/printers"
)

// apiVersion of what the commands print with --output=json and the like. It is served by no API server.
const apiVersion = "cli.snapshot-group/v1"

// Output prints what a command has found: as a table, or in one of kubectl's other forms.
type Output struct {
	session *Session
	flags   *genericclioptions.PrintFlags

	noHeaders bool
}

// NewOutput is that of a command.
func NewOutput(s *Session, cmd *cobra.Command) *Output {
	o := &Output{session: s, flags: genericclioptions.NewPrintFlags("")}
	o.flags.AddFlags(cmd)
	cmd.Flags().Lookup("output").Usage = "table, wide, json, yaml, name, jsonpath=…, go-template=… (default table)"
	cmd.Flags().BoolVar(&o.noHeaders, "no-headers", false, "leave out the headers of the table")
	cmd.PreRunE = func(*cobra.Command, []string) error {
		if o.Human() {
			return nil
		}
		return KnownForm(o.flags, "table", "wide")
	}
	return o
}

// KnownForm refuses a form of output that there is none of, before anything is asked or done. besides are those that flags do not know.
func KnownForm(flags *genericclioptions.PrintFlags, besides ...string) error {
	_, err := flags.ToPrinter()
	if none, is := errors.AsType[genericclioptions.NoCompatiblePrinterError](err); is {
		slices.Sort(none.AllowedFormats)
		return fmt.Errorf("--output: %q is none of %s", *flags.OutputFormat, strings.Join(append(besides, none.AllowedFormats...), ", "))
	}
	return err
}

// Found is what a command has found, in all forms.
type Found struct {
	// Kind of each item, such as RestorePoint.
	Kind  string
	Items []any
	// Names are of the items, as kubectl would take them.
	Names []string
	Table metav1.Table
	// Tones are, by the name of a column, what its cells tell; columns without are plain.
	Tones map[string]func(cell string) Tone
	// Empty is told where there are no items.
	Empty string
}

// Human is whether a person is to read it.
func (o *Output) Human() bool {
	return slices.Contains([]string{"", "table", "wide"}, *o.flags.OutputFormat)
}

// Print prints in the form that is asked for.
func (o *Output) Print(f Found) error {
	format := *o.flags.OutputFormat
	switch format {
	case "", "table", "wide":
		if len(f.Table.Rows) == 0 {
			fmt.Fprintln(o.session.ErrOut, f.Empty)
			return nil
		}
		return o.printTable(f)
	case "name":
		for _, name := range f.Names {
			fmt.Fprintln(o.session.Out, name)
		}
		return nil
	}
	printer, err := o.flags.ToPrinter()
	if err != nil {
		return err
	}
	list := &unstructured.Unstructured{Object: map[string]any{"apiVersion": apiVersion, "kind": f.Kind + "List"}}
	items := make([]any, 0, len(f.Items))
	for _, item := range f.Items {
		plain, err := plainOf(item)
		if err != nil {
			return err
		}
		plain["apiVersion"], plain["kind"] = apiVersion, f.Kind
		items = append(items, plain)
	}
	list.Object["items"] = items
	return printer.PrintObj(list, o.session.Out)
}

func (o *Output) printTable(f Found) error {
	wide := *o.flags.OutputFormat == "wide"
	var table bytes.Buffer
	if err := printers.NewTablePrinter(printers.PrintOptions{Wide: wide, NoHeaders: o.noHeaders}).PrintObj(&f.Table, &table); err != nil {
		return fmt.Errorf("print: %w", err)
	}
	lines := strings.SplitAfter(table.String(), "\n")
	rows := lines
	if !o.noHeaders {
		rows = lines[1:]
	}
	for i, row := range f.Table.Rows {
		rows[i] = o.colouredRow(rows[i], row.Cells, f)
	}
	_, err := io.WriteString(o.session.Out, strings.Join(lines, ""))
	return err
}

// colouredRow colours the cells of a line that is printed already: the printer would escape the codes, and count their width.
func (o *Output) colouredRow(line string, cells []any, f Found) string {
	var out strings.Builder
	for i, column := range f.Table.ColumnDefinitions {
		if column.Priority > 0 && *o.flags.OutputFormat != "wide" {
			continue
		}
		cell := fmt.Sprint(cells[i])
		before, after, found := strings.Cut(line, cell)
		if !found {
			break // the printer cuts what has several lines
		}
		tone := Plain
		if toneOf := f.Tones[column.Name]; toneOf != nil {
			tone = toneOf(cell)
		}
		out.WriteString(before + Coloured(o.session.Out, tone, cell))
		line = after
	}
	return out.String() + line
}

// plainOf is a value as JSON would have it.
func plainOf(item any) (map[string]any, error) {
	data, err := json.Marshal(item)
	if err != nil {
		return nil, fmt.Errorf("encode %T: %w", item, err)
	}
	var plain map[string]any
	if err := json.Unmarshal(data, &plain); err != nil {
		return nil, fmt.Errorf("encode %T: %w", item, err)
	}
	return plain, nil
}

// Column is one of a table; a wide one is shown with --output=wide alone.
type Column struct {
	Name string
	Wide bool
}

// TableOf is a table of columns and rows. hidden are columns left out, such as that of the namespace where there is one only.
func TableOf(columns []Column, rows [][]any, hidden ...string) metav1.Table {
	var t metav1.Table
	for _, c := range columns {
		if slices.Contains(hidden, c.Name) {
			continue
		}
		d := metav1.TableColumnDefinition{Name: c.Name, Type: "string"}
		if c.Wide {
			d.Priority = 1
		}
		t.ColumnDefinitions = append(t.ColumnDefinitions, d)
	}
	for _, row := range rows {
		var cells []any
		for i, cell := range row {
			if !slices.Contains(hidden, columns[i].Name) {
				cells = append(cells, cell)
			}
		}
		t.Rows = append(t.Rows, metav1.TableRow{Cells: cells})
	}
	return t
}
