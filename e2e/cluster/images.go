package cluster

import (
	"context"
	"fmt"
	"path/filepath"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/snapshot-group/snapshot-group/build/image"
	"github.com/snapshot-group/snapshot-group/e2e/cluster/supervise"
)

// The images that every node has. A cluster has no registry: a Pod must say imagePullPolicy Never.
const (
	// ShellImage holds busybox as /bin/sh and under the names of its tools.
	ShellImage = "snapshot-group.test/shell:1"
	pauseImage = "snapshot-group.test/pause:1"
)

// shellTools are the names under which the shell image offers busybox.
var shellTools = []string{"sh", "cat", "echo", "sleep", "ls", "sync", "wget", "httpd", "test"}

func saveImages(cfg supervise.Config) error {
	platform := v1.Platform{OS: "linux", Architecture: hostArch}
	shell := []image.File{image.FromDisk("/bin/busybox", BusyBox, 0o755)}
	for _, tool := range shellTools {
		shell = append(shell, image.Link("/bin/"+tool, "busybox"))
	}
	for ref, spec := range map[string]image.Spec{
		pauseImage: {
			Platform: platform, Entrypoint: []string{"/pause"}, User: "65535:65535",
			Files: []image.File{image.FromDisk("/pause", cfg.Bin["pause"], 0o755)},
		},
		ShellImage: {
			Platform: platform, Entrypoint: []string{"/bin/sh"}, User: "65534:65534",
			Env: []string{"PATH=/bin"}, Files: shell,
		},
	} {
		img, err := image.Assemble(spec)
		if err != nil {
			return fmt.Errorf("make image %s: %w", ref, err)
		}
		if err := image.Save(cfg.Images[ref], ref, img); err != nil {
			return fmt.Errorf("save image %s: %w", ref, err)
		}
	}
	return nil
}

// imageFiles are where the tarballs of the node's images go.
func imageFiles(dir string) map[string]string {
	return map[string]string{
		pauseImage: filepath.Join(dir, "pause.tar"),
		ShellImage: filepath.Join(dir, "shell.tar"),
	}
}

// LoadImage imports an image tarball into the node's container runtime.
func (c *Cluster) LoadImage(ctx context.Context, tarball string) error {
	if c.cfg.Tier != supervise.Node {
		return fmt.Errorf("load image %q: only a cluster of tier %s has a container runtime", tarball, supervise.Node)
	}
	return supervise.ImportImage(ctx, c.cfg, tarball)
}
