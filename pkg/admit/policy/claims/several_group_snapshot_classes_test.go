package claims

import (
	"testing"

	"github.com/snapshot-group/snapshot-group/pkg/admit/policy/rule"
	"github.com/snapshot-group/snapshot-group/pkg/group"
)

func TestSeveralGroupSnapshotClasses(t *testing.T) {
	with := func(namespace string, classes ...group.Class) rule.Facts {
		f := good(on("a", "data"))
		f.GroupSnapshotClass = namespace
		f.GroupSnapshotClasses = classes
		return f
	}
	x, y := group.Class{Name: "x", Driver: "a"}, group.Class{Name: "y", Driver: "a"}
	marked := group.Class{Name: "z", Driver: "a", Default: true}
	labelled := group.Class{Name: "v", Driver: "a", Labelled: true}
	tied := rule.Refuse(`driver "a" has 2 VolumeGroupSnapshotClasses and none is singled out: "x", "y"`,
		"name one: kubectl annotate namespace shop snapshot-group/group-snapshot-class=x")
	testRule(t, SeveralGroupSnapshotClasses, map[string]ruleTest{
		"none is another rule's":                {joins(rule.Create, "data"), with(""), rule.Pass},
		"one passes":                            {joins(rule.Create, "data"), with("", x), rule.Pass},
		"two that nothing tells apart":          {joins(rule.Create, "data"), with("", y, x), tied},
		"an audit says the same":                {audit(), with("", y, x), tied},
		"the default singles one out":           {joins(rule.Create, "data"), with("", x, y, marked), rule.Pass},
		"Velero's label singles one out":        {joins(rule.Create, "data"), with("", x, y, labelled), rule.Pass},
		"the namespace singles one out":         {joins(rule.Create, "data"), with("x", x, y), rule.Pass},
		"those of another driver do not matter": {joins(rule.Create, "data"), with("", x, group.Class{Name: "b", Driver: "b"}), rule.Pass},
	})
}
