package components

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"strings"
)

// ModuleDir is the folder of a module that the product requires, downloaded first where it is missing.
func ModuleDir(ctx context.Context, module string) (string, error) {
	root, err := RepositoryRoot(ctx)
	if err != nil {
		return "", err
	}
	for _, args := range [][]string{{"mod", "download", module}, {"list", "-m", "-f", "{{.Dir}}", module}} {
		cmd := exec.CommandContext(ctx, "go", args...)
		cmd.Dir = root
		out, err := cmd.Output()
		if err != nil {
			if exit, ok := errors.AsType[*exec.ExitError](err); ok {
				err = fmt.Errorf("%w: %s", err, exit.Stderr)
			}
			return "", fmt.Errorf("go %s: %w", strings.Join(args, " "), err)
		}
		if dir := strings.TrimSpace(string(out)); dir != "" {
			return dir, nil
		}
	}
	return "", fmt.Errorf("module %q has no folder", module)
}
