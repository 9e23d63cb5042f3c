package rule

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/snapshot-group/snapshot-group/pkg/group"
)

var joins = Request{Operation: Create, Namespace: "shop", Group: "db", Claim: "data"}

func TestWarningsFitWhatTheAPIServerPassesOn(t *testing.T) {
	word := strings.Repeat("w", 30)
	long := strings.TrimSpace(strings.Repeat(word+" ", 9)) // 278 bytes
	for name, tc := range map[string]struct {
		reason, remedy string
		want           []string
	}{
		"a short one is whole": {"short", "act", []string{`group "db": [r] short; to mend it, act`}},
		"a long one is told in two": {strings.TrimSpace(strings.Repeat(word+" ", 7)), word,
			[]string{`group "db": [r] ` + strings.TrimSpace(strings.Repeat(word+" ", 7)), "[r] to mend it, " + word}},
		"what is longer still is cut at a word": {long, long,
			[]string{`group "db": [r] ` + strings.Repeat(word+" ", 7) + "...", "[r] to mend it, " + strings.Repeat(word+" ", 7) + "..."}},
	} {
		t.Run(name, func(t *testing.T) {
			d := Decision{Request: joins, Findings: []Finding{{Rule: "r", Verdict: Warn(tc.reason, tc.remedy)}}}
			if diff := cmp.Diff(tc.want, d.Warnings()); diff != "" {
				t.Errorf("warnings (-want +got):\n%s", diff)
			}
			for _, w := range d.Warnings() {
				if len(w) > maxWarning {
					t.Errorf("warning of %d bytes: %s", len(w), w)
				}
			}
		})
	}
}

func TestTheGravestFindingDecides(t *testing.T) {
	warn, deny := Finding{Rule: "w", Verdict: Warn("x", "y")}, Finding{Rule: "d", Verdict: Refuse("x", "y")}
	for name, tc := range map[string]struct {
		findings []Finding
		want     Severity
	}{
		"nothing found passes":        {nil, Passes},
		"a warning warns":             {[]Finding{warn}, Warns},
		"a denial before a warning":   {[]Finding{deny, warn}, Denies},
		"a denial behind the warning": {[]Finding{warn, deny}, Denies},
	} {
		t.Run(name, func(t *testing.T) {
			if got := (Decision{Findings: tc.findings}).Severity(); got != tc.want {
				t.Errorf("severity = %q, want %q", got, tc.want)
			}
		})
	}
}

func TestModes(t *testing.T) {
	rules := []Rule{
		{ID: "d", Check: func(Request, Facts) Verdict { return Refuse("bad", "mend") }},
		{ID: "w", Check: func(Request, Facts) Verdict { return Warn("odd", "look") }},
		{ID: "p", Check: func(Request, Facts) Verdict { return Pass }},
	}
	const odd = `group "db": [w] odd; to mend it, look`
	for name, tc := range map[string]struct {
		mode     group.Mode
		exempt   string
		severity Severity
		message  string
		warnings []string
		record   string
	}{
		"enforce denies": {group.Enforce, "", Denies, `claim "data" cannot join group "db" in namespace "shop": [d] bad; to mend it, mend`, []string{odd}, ""},
		"no mode is enforce": {"", "", Denies, `claim "data" cannot join group "db" in namespace "shop": [d] bad; to mend it, mend`,
			[]string{odd}, ""},
		"warn makes denials warnings": {group.WarnOnly, "", Warns, "",
			[]string{`group "db" (admitted because of mode warn): [d] bad; to mend it, mend`, odd}, ""},
		"audit shows nothing": {group.AuditOnly, "", Records, "", nil, `group "db": [d] bad; to mend it, mend. [w] odd; to mend it, look`},
		"an exempt request is warned": {group.Enforce, "it is", Warns, "",
			[]string{`group "db" (admitted because it is): [d] bad; to mend it, mend`, odd}, ""},
		"an exempt request is not shown more than others": {group.AuditOnly, "it is", Records, "", nil,
			`group "db": [d] bad; to mend it, mend. [w] odd; to mend it, look`},
	} {
		t.Run(name, func(t *testing.T) {
			req := joins
			req.Mode, req.Exempt = tc.mode, tc.exempt
			d := Evaluate(rules, req, Facts{})
			if d.Severity() != tc.severity || d.Message() != tc.message || d.Record() != tc.record {
				t.Errorf("decision = %q, %q, %q; want %q, %q, %q", d.Severity(), d.Message(), d.Record(), tc.severity, tc.message, tc.record)
			}
			if diff := cmp.Diff(tc.warnings, d.Warnings()); diff != "" {
				t.Errorf("warnings (-want +got):\n%s", diff)
			}
		})
	}
}

func TestManyWarningsAreCounted(t *testing.T) {
	d := Decision{Request: Request{Operation: Other, Object: `Namespace "shop"`}}
	for i := range 9 {
		d.Findings = append(d.Findings, Finding{Rule: fmt.Sprint(i), Verdict: Warn("x", "y")})
	}
	got := d.Warnings()
	if want := `Namespace "shop": and 2 more, which the log of the snapshot-group webhook tells`; len(got) != maxWarnings || got[7] != want {
		t.Errorf("%d warnings, last %q; want %d and %q", len(got), got[7], maxWarnings, want)
	}
	d.Findings = d.Findings[:8]
	if got := d.Warnings(); len(got) != 8 || got[7] != `Namespace "shop": [7] x; to mend it, y` {
		t.Errorf("warnings = %q, want all 8", got)
	}
}

func TestNounsHaveAPlural(t *testing.T) {
	for want, got := range map[string]string{
		`claim "a"`: FewOf("claim", []string{"a"}), `claims "a", "b"`: FewOf("claim", []string{"a", "b"}),
		`classes "a", "b", "c" and 1 more`: FewOf("class", []string{"a", "b", "c", "d"}),
	} {
		if got != want {
			t.Errorf("words = %s, want %s", got, want)
		}
	}
}
