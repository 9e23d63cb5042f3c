package group

import (
	"errors"
	"fmt"
	"regexp"
	"strings"
	"time"
)

// Retention is which restore points are kept. The zero Retention keeps all.
type Retention struct {
	// Last is how many of the newest; the others are how many hours, days, weeks, months and years keep their newest one.
	Last, Hourly, Daily, Weekly, Monthly, Yearly int
	// For is the age up to which all are kept.
	For time.Duration
}

// IsZero is whether nothing expires.
func (r Retention) IsZero() bool { return r == Retention{} }

// String is the retention as its annotations say it; empty of the zero Retention.
func (r Retention) String() string {
	var parts []string
	for _, rule := range []struct {
		name  string
		count int
	}{{"keep", r.Last}, {"hourly", r.Hourly}, {"daily", r.Daily}, {"weekly", r.Weekly}, {"monthly", r.Monthly}, {"yearly", r.Yearly}} {
		if rule.count > 0 {
			parts = append(parts, fmt.Sprintf("%s=%d", rule.name, rule.count))
		}
	}
	if r.For > 0 {
		parts = append(parts, "keep-for="+r.For.String())
	}
	return strings.Join(parts, ",")
}

// Bounds of KeepAnnotation and KeepForAnnotation. The upper ones catch slips: no cluster holds so many, none grows so old.
const (
	maxKept    = 10_000
	minKeepFor = time.Second
	maxKeepFor = 100 * 365 * day

	day  = 24 * time.Hour
	week = 7 * day
)

// parseKeep reads a count, or tiers such as hourly=24,daily=7. It leaves keep-for as it is.
func parseKeep(s *Settings, v string) error {
	r := Retention{For: s.Retention.For}
	if !strings.Contains(v, "=") {
		n, err := kept(v)
		if err != nil {
			return err
		}
		r.Last = n
		s.Retention = r
		return nil
	}
	tiers := map[string]*int{"hourly": &r.Hourly, "daily": &r.Daily, "weekly": &r.Weekly, "monthly": &r.Monthly, "yearly": &r.Yearly}
	for pair := range strings.SplitSeq(v, ",") {
		name, count, _ := strings.Cut(strings.TrimSpace(pair), "=")
		tier, known := tiers[name]
		if !known {
			return fmt.Errorf("%q is none of hourly, daily, weekly, monthly, yearly", name)
		}
		if *tier != 0 {
			return fmt.Errorf("%s is given twice", name)
		}
		n, err := kept(count)
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		*tier = n
	}
	s.Retention = r
	return nil
}

func kept(v string) (int, error) {
	n, ok := digits(v)
	if !ok || n < 1 || n > maxKept {
		return 0, fmt.Errorf("must be a number from 1 to %d, or tiers such as hourly=24,daily=7,weekly=4,monthly=12,yearly=2", maxKept)
	}
	return n, nil
}

// ages are weeks and days, then what Go knows of durations: 2w, 1d12h, 90m.
var ages = regexp.MustCompile(`^(?:(\d{1,6})w)?(?:(\d{1,6})d)?(.*)$`)

func parseKeepFor(s *Settings, v string) error {
	total, err := age(v)
	if err != nil {
		return err
	}
	if total < minKeepFor || total > maxKeepFor {
		return fmt.Errorf("must be between %s and %dd", minKeepFor, maxKeepFor/day)
	}
	s.Retention.For = total
	return nil
}

func age(v string) (time.Duration, error) {
	parts := ages.FindStringSubmatch(v)
	if v == "" || parts == nil {
		return 0, errNoAge
	}
	var total time.Duration
	for i, unit := range []time.Duration{week, day} {
		if parts[i+1] == "" {
			continue
		}
		n, _ := digits(parts[i+1])
		if time.Duration(n) > maxKeepFor/unit { // the product might overflow
			return maxKeepFor + 1, nil
		}
		total += time.Duration(n) * unit
	}
	if parts[3] == "" || total > maxKeepFor {
		return total, nil
	}
	rest, err := time.ParseDuration(parts[3])
	if err != nil || rest < 0 {
		return 0, errNoAge
	}
	return total + min(rest, maxKeepFor), nil
}

var errNoAge = errors.New("not a duration such as 30d, 2w or 1d12h")
