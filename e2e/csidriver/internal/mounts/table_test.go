package mounts

import (
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestTheKernelsTableIsRead(t *testing.T) {
	for name, tc := range map[string]struct {
		table string
		want  []Mount
	}{
		"a mount that can be written": {"63 43 254:0 /vol/a /b rw,relatime shared:1 - ext4 /dev/vda rw\n",
			[]Mount{{Root: "/vol/a", Target: "/b"}}},
		"a mount that is read-only on a disk that is not": {"63 43 254:0 /vol/a /b ro,relatime - ext4 /dev/vda rw\n",
			[]Mount{{Root: "/vol/a", Target: "/b", ReadOnly: true}}},
		"a disk that is read-only": {"63 43 254:0 /vol/a /b rw - ext4 /dev/vda ro\n",
			[]Mount{{Root: "/vol/a", Target: "/b"}}},
		"blanks and backslashes": {`1 2 3:4 /a\040b /c\134d\\1 rw - ext4 /dev/vda rw` + "\n",
			[]Mount{{Root: "/a b", Target: `/c\d\\1`}}},
		"several mounts, in their order": {"1 2 3:4 / /b rw - x y z\n5 6 7:8 / /a rw - x y z\n",
			[]Mount{{Root: "/", Target: "/b"}, {Root: "/", Target: "/a"}}},
		"nothing": {"", nil},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := parse(tc.table)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("mounts (-want +got):\n%s", diff)
			}
		})
	}
	_, err := parse("63 43 254:0 /\n")
	if diff := cmp.Diff(`read mount table: "63 43 254:0 /" has fewer than 6 fields`, fmt.Sprint(err)); diff != "" {
		t.Errorf("error of a line that is cut off (-want +got):\n%s", diff)
	}
}

func TestThisMachinesTableIsRead(t *testing.T) {
	table, err := Table()
	if err != nil || len(table) == 0 {
		t.Errorf("table has %d mounts, %v, want some", len(table), err)
	}
}
