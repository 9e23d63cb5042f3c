package session

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
)

// ErrNotConfirmed reports that the user did not say yes.
var ErrNotConfirmed = errors.New("not confirmed; nothing was changed")

// Confirm asks whether what is about to happen shall. Where nobody can be asked, --yes must say so. The end of ctx is no answer.
func (s *Session) Confirm(ctx context.Context, what string) error {
	if !OnTerminal(s.In) {
		return fmt.Errorf("%w: %s: add --yes", ErrNotConfirmed, what)
	}
	fmt.Fprintf(s.ErrOut, "%s. Go on? [y/N] ", what)
	answered := make(chan error, 1)
	go func() { answered <- confirmed(s.In) }() // which a read that nobody answers outlives, until the program ends
	select {
	case err := <-answered:
		return err
	case <-ctx.Done():
		fmt.Fprintln(s.ErrOut)
		return fmt.Errorf("%w: %w", ErrNotConfirmed, context.Cause(ctx))
	}
}

// confirmed reads the answer; nil is yes.
func confirmed(in io.Reader) error {
	answer, err := bufio.NewReader(in).ReadString('\n')
	if err != nil {
		return fmt.Errorf("read the answer: %w", err)
	}
	if a := strings.ToLower(strings.TrimSpace(answer)); a != "y" && a != "yes" {
		return ErrNotConfirmed
	}
	return nil
}
