// Command cmd builds the product's commands as one program and assembles their container image, without a Docker daemon:
//
//	go run ./build/image/cmd --version 1.2.3 --ref snapshot-group:1.2.3 --arch amd64 --output dist/snapshot-group-1.2.3-amd64.tar
//
// The Dockerfile builds the same content where there is a daemon.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"syscall"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/snapshot-group/snapshot-group/build/image"
)

const module = "github.com/snapshot-group/snapshot-group"

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:], os.Stderr)
	stop()
	switch {
	case errors.Is(err, flag.ErrHelp): // the usage is printed already
	case err != nil:
		fmt.Fprintln(os.Stderr, "image:", err)
		os.Exit(1)
	}
}

type options struct {
	version, ref, arch, output string
}

func run(ctx context.Context, args []string, out io.Writer) error {
	o, err := parse(args, out)
	if err != nil {
		return err
	}
	binaries, err := os.MkdirTemp("", "snapshot-group-image-")
	if err != nil {
		return fmt.Errorf("make a folder for binaries: %w", err)
	}
	return errors.Join(build(ctx, o, binaries, out), os.RemoveAll(binaries))
}

func parse(args []string, out io.Writer) (options, error) {
	var o options
	flags := flag.NewFlagSet("image", flag.ContinueOnError)
	flags.SetOutput(out)
	flags.StringVar(&o.version, "version", "dev", "version that the commands report and the image is labelled with")
	flags.StringVar(&o.ref, "ref", "", "name of the image (default snapshot-group:VERSION)")
	flags.StringVar(&o.arch, "arch", runtime.GOARCH, "architecture, as Go names it: amd64, arm64")
	flags.StringVar(&o.output, "output", "", "tarball to write (default dist/snapshot-group-VERSION-ARCH.tar)")
	if err := flags.Parse(args); err != nil {
		return options{}, err
	}
	if flags.NArg() > 0 {
		return options{}, fmt.Errorf("unexpected argument %q: every option is a flag, see --help", flags.Arg(0))
	}
	if o.ref == "" {
		o.ref = "snapshot-group:" + o.version
	}
	if o.output == "" {
		o.output = filepath.Join("dist", fmt.Sprintf("snapshot-group-%s-%s.tar", o.version, o.arch))
	}
	return o, nil
}

func build(ctx context.Context, o options, binaries string, out io.Writer) error {
	if err := compile(ctx, o, binaries, out); err != nil {
		return err
	}
	img, err := image.Assemble(image.Product(binaries, o.version, o.arch))
	if err != nil {
		return err
	}
	if err := image.Save(o.output, o.ref, img); err != nil {
		return err
	}
	return describe(o, img, out)
}

// compile writes the program to the folder binaries, as the Dockerfile does: static, without the machine's paths, and
// without the state of the checkout, so that equal sources give equal binaries.
func compile(ctx context.Context, o options, binaries string, out io.Writer) error {
	args := []string{
		"build", "-trimpath", "-buildvcs=false", "-ldflags", "-s -w -X main.version=" + o.version, "-o", binaries + "/",
		module + "/cmd/" + image.Program,
	}
	goBuild := exec.CommandContext(ctx, "go", args...)
	goBuild.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS=linux", "GOARCH="+o.arch)
	goBuild.Stdout, goBuild.Stderr = out, out
	if err := goBuild.Run(); err != nil {
		return fmt.Errorf("build for linux/%s: %w", o.arch, err)
	}
	return nil
}

func describe(o options, img v1.Image, out io.Writer) error {
	// The image's ID: unlike the digest of the manifest, which a tarball does not hold, it is the same wherever the image is loaded.
	id, err := img.ConfigName()
	if err != nil {
		return fmt.Errorf("describe image: %w", err)
	}
	info, err := os.Stat(o.output)
	if err != nil {
		return fmt.Errorf("describe image: %w", err)
	}
	_, err = fmt.Fprintf(out, "%s: %s for linux/%s, ID %s, %.1f MB\n", o.output, o.ref, o.arch, id, float64(info.Size())/1e6)
	return err
}
