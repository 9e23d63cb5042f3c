package image

import (
	_ "embed" // the two files below
	"path/filepath"

	v1 "github.com/google/go-containerregistry/pkg/v1"
)

// The Dockerfile copies these two files from where they lie here.
var (
	//go:embed rootfs/etc/passwd
	passwd string
	//go:embed rootfs/etc/group
	groups string
)

// Commands of the product's image, in cmd/ and, under the same names, in the image's root.
var Commands = []string{"webhook", "snapshotter"}

// nonroot is the user of the containers, by the number that distroless images use too.
const nonroot = "65532:65532"

// Product is the image of snapshot-group: Commands, built beforehand for linux/arch in the folder binaries, and nothing
// that could run anything else. There are no CA certificates: the commands talk to the API server alone, whose CA the
// kubelet mounts.
func Product(binaries, version, arch string) Spec {
	files := []File{Text("/etc/passwd", passwd), Text("/etc/group", groups)}
	for _, command := range Commands {
		files = append(files, FromDisk("/"+command, filepath.Join(binaries, command), 0o755))
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
