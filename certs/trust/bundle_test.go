package trust

import (
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/snapshot-group/snapshot-group/certs/certstest"
)

var noon = time.Date(2026, 8, 22, 12, 0, 0, 0, time.UTC)

// authority is the certificate of one that has been valid for some hours, of its day.
func authority(t *testing.T, hours int) []byte {
	t.Helper()
	return certstest.NewCA(t, noon.Add(-time.Duration(hours)*time.Hour), certstest.Day).PEM()
}

func TestBundle(t *testing.T) {
	ca, before := authority(t, 1), authority(t, 2)
	third, fourth, expired := authority(t, 3), authority(t, 4), authority(t, 24)
	var many []byte // as many as stay
	for range maxOthers {
		many = append(many, authority(t, 5)...)
	}
	for name, tc := range map[string]struct{ ca, have, want []byte }{
		"the first bundle is the authority":                     {ca, nil, ca},
		"a bundle that is right stays as it is":                 {ca, slices.Concat(ca, before), slices.Concat(ca, before)},
		"so does one that another writer has begun":             {ca, slices.Concat(before, ca), slices.Concat(before, ca)},
		"the authority is added to those that were there":       {ca, before, slices.Concat(before, ca)},
		"an authority of several certificates is added whole":   {slices.Concat(ca, third), before, slices.Concat(before, ca, third)},
		"what is there twice is there once":                     {ca, slices.Concat(ca, before, ca, before), slices.Concat(ca, before)},
		"of more others than stay, the first goes":              {ca, slices.Concat(before, many), slices.Concat(many, ca)},
		"which does not count the authority itself":             {ca, slices.Concat(ca, many), slices.Concat(ca, many)},
		"an authority may be older than the others":             {ca, slices.Concat(fourth, before), slices.Concat(fourth, before, ca)},
		"another that has expired goes":                         {ca, slices.Concat(ca, expired), ca},
		"the authority itself stays though it has expired":      {expired, slices.Concat(expired, ca), slices.Concat(expired, ca)},
		"what is no certificate goes":                           {ca, []byte("\n"), ca},
		"what cannot be read goes, and what follows it is kept": {ca, slices.Concat([]byte("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"), before), slices.Concat(before, ca)},
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

// Pods of two releases, or cert-manager and Pods that make their own certificates, write the same configuration for a while.
func TestWritersWithAuthoritiesOfTheirOwnAgree(t *testing.T) {
	old, other := authority(t, 3), authority(t, 2)
	have := old
	for range 2 {
		for _, ca := range [][]byte{other, old} {
			bundle, err := Bundle(ca, have, noon)
			if err != nil {
				t.Fatal(err)
			}
			have = bundle
		}
		if diff := cmp.Diff(string(slices.Concat(old, other)), string(have)); diff != "" {
			t.Errorf("bundle (-want +got):\n%s", diff)
		}
	}
}

func TestABundleNeedsAnAuthority(t *testing.T) {
	for name, ca := range map[string][]byte{"no Secret data": nil, "a corrupted Secret": []byte("-----BEGIN CERT")} {
		t.Run(name, func(t *testing.T) {
			if got, err := Bundle(ca, authority(t, 1), noon); !errors.Is(err, ErrNoCA) {
				t.Errorf("bundle = %q, %v; want ErrNoCA", got, err)
			}
		})
	}
}
