package csidriver

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"time"

	"google.golang.org/grpc/codes"
)

// wireFaults is Faults as written by hand: durations such as "1m30s", codes by their names.
type wireFaults struct {
	Slow        wireDuration           `json:"slow,omitempty"`
	Hang        []string               `json:"hang,omitempty"`
	Fail        map[string]wireFailure `json:"fail,omitempty"`
	MemberShort bool                   `json:"memberShort,omitempty"`
	NoListing   bool                   `json:"noListing,omitempty"`
	NotReady    wireNotReady           `json:"notReady,omitzero"`
}

type wireFailure struct {
	Code       wireCode `json:"code"`
	Message    string   `json:"message,omitempty"`
	Calls      int      `json:"calls,omitempty"`
	Afterwards bool     `json:"afterwards,omitempty"`
}

type wireNotReady struct {
	For   wireDuration `json:"for,omitempty"`
	Polls int          `json:"polls,omitempty"`
}

// MarshalJSON writes the form that UnmarshalJSON reads.
func (f Faults) MarshalJSON() ([]byte, error) {
	w := wireFaults{
		Slow: wireDuration(f.Slow), Hang: f.Hang, MemberShort: f.MemberShort, NoListing: f.NoListing,
		NotReady: wireNotReady{For: wireDuration(f.NotReady.For), Polls: f.NotReady.Polls},
	}
	for rpc, failure := range f.Fail {
		if w.Fail == nil {
			w.Fail = map[string]wireFailure{}
		}
		w.Fail[rpc] = wireFailure{wireCode(failure.Code), failure.Message, failure.Calls, failure.Afterwards}
	}
	return json.Marshal(w)
}

// UnmarshalJSON refuses unknown fields, unknown names and whatever Validate refuses.
func (f *Faults) UnmarshalJSON(data []byte) error {
	decoder := json.NewDecoder(bytes.NewReader(data))
	decoder.DisallowUnknownFields()
	var w wireFaults
	if err := decoder.Decode(&w); err != nil {
		return err
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		return errors.New("more than one JSON value")
	}
	parsed := Faults{
		Slow: time.Duration(w.Slow), Hang: w.Hang, MemberShort: w.MemberShort, NoListing: w.NoListing,
		NotReady: NotReady{For: time.Duration(w.NotReady.For), Polls: w.NotReady.Polls},
	}
	for rpc, failure := range w.Fail {
		if parsed.Fail == nil {
			parsed.Fail = map[string]Failure{}
		}
		parsed.Fail[rpc] = Failure{codes.Code(failure.Code), failure.Message, failure.Calls, failure.Afterwards}
	}
	if err := parsed.Validate(); err != nil {
		return err
	}
	*f = parsed
	return nil
}

type wireDuration time.Duration

func (d wireDuration) MarshalText() ([]byte, error) { return []byte(time.Duration(d).String()), nil }

func (d *wireDuration) UnmarshalText(text []byte) error {
	parsed, err := time.ParseDuration(string(text))
	if err != nil {
		return fmt.Errorf("%q is not a duration such as 500ms or 1m30s", text)
	}
	*d = wireDuration(parsed)
	return nil
}

type wireCode codes.Code

func (c wireCode) MarshalText() ([]byte, error) {
	name, known := codeName(codes.Code(c))
	if !known {
		return nil, fmt.Errorf("code %d is no gRPC error code", c)
	}
	return []byte(name), nil
}

func (c *wireCode) UnmarshalText(text []byte) error {
	code := slices.Index(codeNames, string(text))
	if code < 0 {
		return fmt.Errorf("%q is not a gRPC code such as UNAVAILABLE", text)
	}
	*c = wireCode(code)
	return nil
}

// codeNames are the names that gRPC's own documents use, each at the index of its number.
var codeNames = []string{
	"OK", "CANCELLED", "UNKNOWN", "INVALID_ARGUMENT", "DEADLINE_EXCEEDED", "NOT_FOUND", "ALREADY_EXISTS", "PERMISSION_DENIED",
	"RESOURCE_EXHAUSTED", "FAILED_PRECONDITION", "ABORTED", "OUT_OF_RANGE", "UNIMPLEMENTED", "INTERNAL", "UNAVAILABLE",
	"DATA_LOSS", "UNAUTHENTICATED",
}

func codeName(c codes.Code) (string, bool) {
	if int(c) >= len(codeNames) {
		return "", false
	}
	return codeNames[c], true
}

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
