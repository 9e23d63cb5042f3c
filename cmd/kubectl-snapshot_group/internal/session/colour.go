package session

import (
	"io"
	"os"

	"golang.org/x/term"
)

// Tone is what a word tells a person who looks for trouble.
type Tone int

// Tones.
const (
	Plain Tone = iota
	Good
	Doubtful
	Bad
)

// Coloured is text in the colour of its tone, where out shows colours.
func Coloured(out io.Writer, tone Tone, text string) string {
	if tone == Plain || !showsColours(out) {
		return text
	}
	escape := term.NewTerminal(nil, "").Escape // only for its codes: nothing is read or written by it
	code := map[Tone][]byte{Good: escape.Green, Doubtful: escape.Yellow, Bad: escape.Red}[tone]
	return string(code) + text + string(escape.Reset)
}

// showsColours is whether out is a terminal that can, and its user has not declined as no-color.org has it.
func showsColours(out io.Writer) bool {
	return OnTerminal(out) && os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb"
}
