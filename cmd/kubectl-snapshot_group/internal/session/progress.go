package session

import (
	"fmt"
	"io"
	"os"

	"github.com/schollz/progressbar/v3"
	"golang.org/x/term"
)

// Progress tells of what takes long: on a terminal what is waited for turns on one line, elsewhere each thing has a line of
// its own.
type Progress struct {
	out io.Writer
	// bar is nil where out is no terminal, and while nothing is waited for.
	bar      *progressbar.ProgressBar
	terminal bool
	waiting  string
}

// Progress is that of a command, on its standard error.
func (s *Session) Progress() *Progress {
	return &Progress{out: s.ErrOut, terminal: OnTerminal(s.ErrOut)}
}

// Did tells of what was done.
func (p *Progress) Did(step string) {
	p.End()
	fmt.Fprintln(p.out, step)
}

// Waiting tells what is waited for, once until that changes.
func (p *Progress) Waiting(what string) {
	if what == p.waiting {
		return
	}
	p.waiting = what
	if !p.terminal {
		fmt.Fprintf(p.out, "waiting for %s\n", what)
		return
	}
	if p.bar == nil {
		p.bar = progressbar.NewOptions(-1, progressbar.OptionSetWriter(p.out), progressbar.OptionSpinnerType(spinner),
			progressbar.OptionClearOnFinish(), progressbar.OptionSetElapsedTime(true), progressbar.OptionSetRenderBlankState(true))
	}
	p.bar.Describe(p.fit("waiting for " + what))
}

// besides is how many characters of the line are not the description: what turns, the time, and the spaces around them.
const besides = len("*   [10h10m10s] ")

// fit cuts text to the width of the terminal: a line that wraps cannot be updated in place.
func (p *Progress) fit(text string) string {
	screen, isFile := p.out.(*os.File)
	if !isFile {
		return text
	}
	width, _, err := term.GetSize(int(screen.Fd()))
	shown := []rune(text)
	if room := width - besides; err == nil && room > 0 && len(shown) > room {
		return string(shown[:room-1]) + "…"
	}
	return text
}

// spinner is the look of a wait: progressbar's dots.
const spinner = 14

// End takes away what turns.
func (p *Progress) End() {
	p.waiting = ""
	if p.bar != nil {
		_ = p.bar.Finish() // a terminal that is gone cannot be told so
		p.bar = nil
	}
}
