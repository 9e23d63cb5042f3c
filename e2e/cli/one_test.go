package cli_test

import (
	"strings"
	"testing"
)

// Option 1 of the ACK document, of what runs have left: one volume is restored, as a copy and in place, and the others stay.
func TestOneVolumeIsRestoredOfEachKindOfRestorePoint(t *testing.T) {
	loop(t)
	for _, workflow := range []string{"keep", "detach"} {
		t.Run(workflow, func(t *testing.T) {
			ns := "one-of-" + workflow
			namespace(t, ns)
			mysql(t, ns)
			ok(t, "kubectl annotate namespace "+ns+" snapshot-group/label-key=app snapshot-group/workflow="+workflow)
			ok(t, "kubectl label namespace "+ns+" snapshot-group=enabled")
			write(t, ns, "Amy 95", "data-mysql-0", "data-mysql-1")
			point := strings.TrimSpace(ok(t, "kubectl snapshot-group run --wait --namespace "+ns))
			write(t, ns, "lost", "data-mysql-0", "data-mysql-1")
			restore := "kubectl snapshot-group restore " + point + " --claim=data-mysql-0 --namespace " + ns

			if got := ok(t, restore+" --name-suffix=-copy --wait"); got != "persistentvolumeclaim/data-mysql-0-copy\n" {
				t.Errorf("it made %q, want the copy alone", got)
			}
			holds(t, ns, "Amy 95", "data-mysql-0-copy")
			holds(t, ns, "lost", "data-mysql-0", "data-mysql-1")

			if got := ok(t, restore+" --in-place --yes"); got != "persistentvolumeclaim/data-mysql-0\n" {
				t.Errorf("it replaced %q, want the claim alone", got)
			}
			holds(t, ns, "Amy 95", "data-mysql-0")
			holds(t, ns, "lost", "data-mysql-1")
			scaledBack(t, ns)
		})
	}
}
