package certs

import (
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestBundle(t *testing.T) {
	current := newCA(t, noon.Add(-time.Hour)).pem()
	previous := newCA(t, noon.Add(-2*time.Hour)).pem()
	before := newCA(t, noon.Add(-3*time.Hour)).pem()
	expired := newCA(t, noon.Add(-24*time.Hour)).pem()
	for name, tc := range map[string]struct{ ca, have, want []byte }{
		"the first bundle is the authority":                     {current, nil, current},
		"a bundle that is right stays as it is":                 {current, slices.Concat(current, previous), slices.Concat(current, previous)},
		"the authority before stays behind the new one":         {current, previous, slices.Concat(current, previous)},
		"only the latest of those before stays":                 {current, slices.Concat(before, previous), slices.Concat(current, previous)},
		"in whatever order they were":                           {current, slices.Concat(previous, before), slices.Concat(current, previous)},
		"one that has expired goes":                             {current, slices.Concat(current, expired), current},
		"what is no certificate goes":                           {current, []byte("\n"), current},
		"what cannot be read goes, and what follows it is kept": {current, slices.Concat([]byte("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"), previous), slices.Concat(current, previous)},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := Bundle(tc.ca, tc.have, noon)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(string(tc.want), string(got)); diff != "" {
				t.Errorf("bundle (-want +got):\n%s", diff)
			}
		})
	}
}

func TestABundleNeedsAnAuthority(t *testing.T) {
	for name, ca := range map[string][]byte{"no Secret data": nil, "a corrupted Secret": []byte("-----BEGIN CERT")} {
		t.Run(name, func(t *testing.T) {
			if got, err := Bundle(ca, newCA(t, noon).pem(), noon); !errors.Is(err, ErrNoCA) {
				t.Errorf("bundle = %q, %v; want ErrNoCA", got, err)
			}
		})
	}
}
