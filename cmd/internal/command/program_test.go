package command

import (
	"context"
	"errors"
	"testing"

	"github.com/spf13/pflag"
)

// sized are the settings of a command that has one flag.
type sized struct {
	Options

	size int
}

func (s *sized) AddFlags(f *pflag.FlagSet) { f.IntVar(&s.size, "size", 1, "its size") }

func (s *sized) Validate() error {
	if s.size < 1 {
		return errors.New("--size: is less than 1")
	}
	return nil
}

func ExampleProgram_Main() {
	Program{Name: "sized", Settings: new(sized)}.Main([]string{"--help"})
	Program{Name: "sized", Version: "1.2.3", Settings: &sized{Options: Options{Version: true}}}.Main(nil)
	// Output:
	// Usage: sized [flags]
	//
	//       --size int   its size (default 1)
	// 1.2.3
}

func TestTheStatusOfAProgramTellsHowItEnded(t *testing.T) {
	s := new(sized)
	program := Program{Name: "sized", Settings: s, Run: func(context.Context) error {
		if s.size != 7 {
			t.Errorf("run with size %d, want the one that was given, 7", s.size)
		}
		return errors.New("spoilt")
	}}
	for _, tc := range []struct {
		name string
		args []string
		want int
	}{
		{"a flag that is not known", []string{"--colour"}, 2},
		{"an argument that is no flag", []string{"now"}, 2},
		{"a value that is refused", []string{"--size=0"}, 2},
		{"a run that fails", []string{"--size=7"}, 1},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if got := program.Main(tc.args); got != tc.want {
				t.Errorf("status %d, want %d", got, tc.want)
			}
		})
	}
}
