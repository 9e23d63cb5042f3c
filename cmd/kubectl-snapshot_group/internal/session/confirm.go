package session

import (
	"bufio"
	"errors"
	"fmt"
	"strings"
)

// ErrNotConfirmed reports that the user did not say yes.
var ErrNotConfirmed = errors.New("not confirmed; nothing was changed")

// Confirm asks whether what is about to happen shall. Where nobody can be asked, --yes must say so.
func (s *Session) Confirm(what string) error {
	if !OnTerminal(s.In) {
		return fmt.Errorf("%w: %s: add --yes", ErrNotConfirmed, what)
	}
	fmt.Fprintf(s.ErrOut, "%s. Go on? [y/N] ", what)
	answer, err := bufio.NewReader(s.In).ReadString('\n')
	if err != nil {
		return fmt.Errorf("read the answer: %w", err)
	}
	if a := strings.ToLower(strings.TrimSpace(answer)); a != "y" && a != "yes" {
		return ErrNotConfirmed
	}
	return nil
}
