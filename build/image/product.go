package image

import (
	_ "embed" // the two files below
	"path/filepath"

	v1 "github.com/google/go-containerregistry/pkg/v1"
)

// The Dockerfile copies the folder rootfs, with these two files and a link for each of commands.
var (
	//go:embed rootfs/etc/passwd
	passwd string
	//go:embed rootfs/etc/group
	groups string
)

// Program is the one program of the image, in cmd/ and, under the same name, in the image's root.
const Program = "all-in-one"

// commands are what Program is, by the name of the link to it that it is called by.
var commands = []string{"webhook", "snapshotter"}

// nonroot is the user of the containers, by the number that distroless images use too.
const nonroot = "65532:65532"

// Product is the image of snapshot-group: Program, built beforehand for linux/arch and now in the folder binaries, and nothing
// that could run anything else. There are no CA certificates: the commands talk to the API server alone, whose CA the
// kubelet mounts.
func Product(binaries, version, arch string) Spec {
	files := []File{
		Text("/etc/passwd", passwd), Text("/etc/group", groups),
		FromDisk("/"+Program, filepath.Join(binaries, Program), 0o755),
	}
	for _, command := range commands {
		files = append(files, Link("/"+command, Program))
	}
	return Spec{
		Platform:   v1.Platform{OS: "linux", Architecture: arch},
		Files:      files,
		Entrypoint: []string{"/webhook"},
		User:       nonroot,
		Labels: map[string]string{
			"org.opencontainers.image.title":    "snapshot-group",
			"org.opencontainers.image.source":   "https://github.com/snapshot-group/snapshot-group",
			"org.opencontainers.image.licenses": "Apache-2.0",
			"org.opencontainers.image.version":  version,
		},
	}
}
