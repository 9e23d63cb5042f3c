// Package mounts binds folders to other places and reads the kernel's table of what is mounted. The table is the only
// memory there is: it cannot be out of date after a crash.
package mounts

import (
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
)

// Mount is one line of the kernel's table.
type Mount struct {
	// Root is the path, within its own file system, of the folder that is mounted.
	Root string
	// Target is where it is mounted.
	Target   string
	ReadOnly bool
}

// Table returns what is mounted in this process's mount namespace, in the order in which it was mounted.
func Table() ([]Mount, error) {
	data, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return nil, fmt.Errorf("read mount table: %w", err)
	}
	return parse(string(data))
}

// parse reads the format of proc(5): ID, parent, device, root, mount point, options, and more that is not needed here.
func parse(table string) ([]Mount, error) {
	var mounts []Mount
	for line := range strings.Lines(table) {
		fields := strings.Fields(line)
		if len(fields) < 6 {
			return nil, fmt.Errorf("read mount table: %q has fewer than 6 fields", strings.TrimSpace(line))
		}
		mounts = append(mounts, Mount{
			Root: unescape(fields[3]), Target: unescape(fields[4]),
			ReadOnly: slices.Contains(strings.Split(fields[5], ","), "ro"),
		})
	}
	return mounts, nil
}

// unescape turns \040 and its like, by which the kernel writes blanks and backslashes, into the character.
func unescape(field string) string {
	var out strings.Builder
	for i := 0; i < len(field); i++ {
		if field[i] == '\\' && i+4 <= len(field) {
			if char, err := strconv.ParseUint(field[i+1:i+4], 8, 8); err == nil {
				out.WriteByte(byte(char))
				i += 3
				continue
			}
		}
		out.WriteByte(field[i])
	}
	return out.String()
}
