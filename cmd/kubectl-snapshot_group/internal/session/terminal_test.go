package session

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/creack/pty"
	"github.com/google/go-cmp/cmp"
	"github.com/spf13/cobra"
	"k8s.io/cli-runtime/pkg/genericiooptions"
)

// terminal is a terminal of so many columns. shown closes it, and returns all that was written to it.
func terminal(t *testing.T, columns uint16) (screen *os.File, shown func() string) {
	t.Helper()
	reader, screen, err := pty.Open()
	if err != nil {
		t.Fatal(err)
	}
	if err := pty.Setsize(reader, &pty.Winsize{Rows: 24, Cols: columns}); err != nil {
		t.Fatal(err)
	}
	written := make(chan string)
	go func() {
		all, _ := io.ReadAll(reader) // ends in an error, as Linux tells that the other end is closed
		written <- strings.ReplaceAll(string(all), "\r\n", "\n")
	}()
	return screen, func() string {
		if err := screen.Close(); err != nil {
			t.Error(err)
		}
		return <-written
	}
}

// visible is what a terminal shows in the end of what was written to it: a carriage return goes back to the first column, and what is
// written there takes the place of what was.
func visible(written string) string {
	var out []string
	for line := range strings.SplitSeq(written, "\n") {
		var cells []rune
		at := 0
		for _, r := range line {
			switch {
			case r == '\r':
				at = 0
				continue
			case at < len(cells):
				cells[at] = r
			default:
				cells = append(cells, r)
			}
			at++
		}
		out = append(out, strings.TrimRight(string(cells), " "))
	}
	return strings.Join(out, "\n")
}

var points = Found{
	Kind: "RestorePoint",
	Table: TableOf([]Column{{Name: "Point"}, {Name: "State"}, {Name: "Age"}, {Name: "Run", Wide: true}},
		[][]any{{"Completed", "Complete", 5, "-"}, {"b", "Incomplete", 12, "Complete"}}),
	Tones: map[string]func(string) Tone{"State": func(cell string) Tone { return map[string]Tone{"Complete": Good, "Incomplete": Bad}[cell] }},
}

func TestATableIsColouredForAPersonOnATerminal(t *testing.T) {
	const plain = "POINT       STATE        AGE\nCompleted   Complete     5\nb           Incomplete   12\n"
	for name, tc := range map[string]struct {
		environment map[string]string
		flags       []string
		want        string
	}{
		"what tells of trouble is": {
			nil, nil, "POINT       STATE        AGE\nCompleted   \x1b[32mComplete\x1b[0m     5\nb           \x1b[31mIncomplete\x1b[0m   12\n",
		},
		"without headers too": {
			nil, []string{"--no-headers"}, "Completed   \x1b[32mComplete\x1b[0m     5\nb           \x1b[31mIncomplete\x1b[0m   12\n",
		},
		"in the wide form too, and no other column": {
			nil, []string{"--output=wide"}, "POINT       STATE        AGE   RUN\nCompleted   \x1b[32mComplete\x1b[0m     5     -\n" +
				"b           \x1b[31mIncomplete\x1b[0m   12    Complete\n",
		},
		"nothing is for who has declined":            {map[string]string{"NO_COLOR": "1"}, nil, plain},
		"nothing is on a terminal that shows none":   {map[string]string{"TERM": "dumb"}, nil, plain},
		"an empty NO_COLOR declines nothing, though": {map[string]string{"NO_COLOR": ""}, []string{"--no-headers"}, "Completed   \x1b[32mComplete\x1b[0m     5\nb           \x1b[31mIncomplete\x1b[0m   12\n"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Setenv("NO_COLOR", "")
			t.Setenv("TERM", "xterm")
			for key, value := range tc.environment {
				t.Setenv(key, value)
			}
			screen, shown := terminal(t, 80)
			show(t, screen, tc.flags)
			if diff := cmp.Diff(tc.want, shown()); diff != "" {
				t.Errorf("table (-want +got):\n%s", diff)
			}
		})
	}
	t.Run("nothing is in what another program reads", func(t *testing.T) {
		var out bytes.Buffer
		show(t, &out, nil)
		if diff := cmp.Diff(plain, out.String()); diff != "" {
			t.Errorf("table (-want +got):\n%s", diff)
		}
	})
}

// show prints the points.
func show(t *testing.T, out io.Writer, flags []string) {
	t.Helper()
	cmd := &cobra.Command{}
	o := NewOutput(New(genericiooptions.IOStreams{Out: out, ErrOut: io.Discard}), cmd)
	if err := cmd.ParseFlags(flags); err != nil {
		t.Fatal(err)
	}
	if err := o.Print(points); err != nil {
		t.Fatal(err)
	}
}

// turning is what changes by itself on the line of a wait.
var turning = regexp.MustCompile(`(?m)^[⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏] (.*?) +\[\d+s\]$`)

func TestAWaitIsOneLineOfATerminal(t *testing.T) {
	for name, tc := range map[string]struct {
		columns uint16
		tell    func(*Progress)
		want    string
	}{
		"what is waited for turns": {
			80, func(p *Progress) { p.Waiting("claim \"data\" to be bound") }, `* waiting for claim "data" to be bound`,
		},
		"what is waited for next takes its place": {
			80, func(p *Progress) {
				p.Waiting("something that is much longer than what comes next")
				p.Waiting("the end")
			}, "* waiting for the end",
		},
		"what was done takes its place for good": {
			80, func(p *Progress) { p.Waiting("a"); p.Did("did a"); p.Waiting("b"); p.Did("did b") }, "did a\ndid b\n",
		},
		"the end leaves nothing of it": {
			80, func(p *Progress) { p.Did("did a"); p.Waiting("b"); p.End() }, "did a\n",
		},
		"what is too long for the line is cut": {
			40, func(p *Progress) { p.Waiting("run 20261122t120000z to end") }, "* waiting for run 2026112…",
		},
	} {
		t.Run(name, func(t *testing.T) {
			screen, shown := terminal(t, tc.columns)
			p := New(genericiooptions.IOStreams{ErrOut: screen}).Progress()
			tc.tell(p)
			got := turning.ReplaceAllString(visible(shown()), "* $1")
			p.End()
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("the terminal shows (-want +got):\n%s", diff)
			}
		})
	}
}

func TestAWaitIsALineEachElsewhere(t *testing.T) {
	var out bytes.Buffer
	p := New(genericiooptions.IOStreams{ErrOut: &out}).Progress()
	p.Waiting("a")
	p.Waiting("a")
	p.Waiting("b")
	p.Did("did it")
	p.Waiting("b")
	p.End()
	if diff := cmp.Diff("waiting for a\nwaiting for b\ndid it\nwaiting for b\n", out.String()); diff != "" {
		t.Errorf("it tells (-want +got):\n%s", diff)
	}
}

func TestOutputFormNobodyKnows(t *testing.T) {
	var out bytes.Buffer
	cmd := &cobra.Command{}
	o := NewOutput(New(genericiooptions.IOStreams{Out: &out, ErrOut: io.Discard}), cmd)
	if err := cmd.ParseFlags([]string{"--output=gold"}); err != nil {
		t.Fatal(err)
	}
	if err := o.Print(points); err == nil || out.Len() > 0 {
		t.Errorf("error %v and output %q, want an error alone", err, &out)
	}
}

func TestConfirmAsksOnATerminalAlone(t *testing.T) {
	for name, tc := range map[string]struct{ answer, want string }{
		"a yes is enough":   {"y\n", ""},
		"in full too":       {"YES\n", ""},
		"a no is one":       {"n\n", "not confirmed; nothing was changed"},
		"so is no answer":   {"\n", "not confirmed; nothing was changed"},
		"so is another one": {"delete\n", "not confirmed; nothing was changed"},
	} {
		t.Run(name, func(t *testing.T) {
			keyboard, screen, err := pty.Open()
			if err != nil {
				t.Fatal(err)
			}
			defer keyboard.Close()
			defer screen.Close()
			if _, err := keyboard.WriteString(tc.answer); err != nil {
				t.Fatal(err)
			}
			var asked bytes.Buffer
			got := ""
			if err := New(genericiooptions.IOStreams{In: screen, ErrOut: &asked}).Confirm(t.Context(), "This deletes a"); err != nil {
				got = err.Error()
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("error (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff("This deletes a. Go on? [y/N] ", asked.String()); diff != "" {
				t.Errorf("it asks (-want +got):\n%s", diff)
			}
		})
	}
	err := New(genericiooptions.IOStreams{In: strings.NewReader("yes\n")}).Confirm(t.Context(), "This deletes a")
	if err == nil || err.Error() != "not confirmed; nothing was changed: This deletes a: add --yes" {
		t.Errorf("error %v where nobody can be asked", err)
	}
}

func TestAQuestionIsGivenUpWithTheCommand(t *testing.T) {
	keyboard, screen, err := pty.Open()
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _, _ = keyboard.Close(), screen.Close() }()
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(errors.New("interrupt signal received"))
	var asked strings.Builder
	err = New(genericiooptions.IOStreams{In: screen, ErrOut: &asked}).Confirm(ctx, "This deletes a")
	const want = "not confirmed; nothing was changed: interrupt signal received"
	if !errors.Is(err, ErrNotConfirmed) || err.Error() != want {
		t.Errorf("error = %v, want %s", err, want)
	}
}
