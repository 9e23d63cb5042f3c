package server

import (
	"context"
	"errors"
	"io/fs"
	"log/slog"
	"path"
	"strings"
	"syscall"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/snapshot-group/snapshot-group/e2e/csidriver/internal/faults"
	"github.com/snapshot-group/snapshot-group/e2e/csidriver/internal/storage"
)

// intercept is the one way in and out of every RPC: it passes the gate, gives the error its code, and logs the call.
func intercept(gate *faults.Gate, log *slog.Logger) grpc.UnaryServerInterceptor {
	return func(ctx context.Context, req any, info *grpc.UnaryServerInfo, handler grpc.UnaryHandler) (any, error) {
		rpc := path.Base(info.FullMethod)
		began := time.Now()
		reply, err := gate.Pass(ctx, rpc, func() (any, error) { return handler(ctx, req) })
		if err != nil {
			err = withCode(err)
			log.Warn("call failed", "rpc", rpc, "code", status.Code(err).String(), "error", status.Convert(err).Message())
			return nil, err
		}
		level := slog.LevelInfo
		if readsOnly(rpc) {
			level = slog.LevelDebug
		}
		log.Log(ctx, level, "call done", "rpc", rpc, "took", time.Since(began).Round(time.Millisecond).String())
		return reply, nil
	}
}

func readsOnly(rpc string) bool {
	for _, word := range []string{"Get", "List", "Probe", "Validate"} {
		if strings.Contains(rpc, word) {
			return true
		}
	}
	return false
}

// codesOf are the codes that CSI wants for what storage and the file system may report.
var codesOf = []struct {
	err  error
	code codes.Code
}{
	{storage.ErrNotFound, codes.NotFound},
	{storage.ErrConflict, codes.AlreadyExists},
	{storage.ErrOutOfRange, codes.OutOfRange},
	{storage.ErrExhausted, codes.ResourceExhausted},
	{storage.ErrMember, codes.InvalidArgument},
	{storage.ErrMismatch, codes.InvalidArgument},
	{context.Canceled, codes.Canceled},
	{context.DeadlineExceeded, codes.DeadlineExceeded},
	{syscall.ENOSPC, codes.ResourceExhausted},
	{fs.ErrPermission, codes.PermissionDenied},
}

// withCode leaves an error that has a code as it is. What has none and is not foreseen is INTERNAL.
func withCode(err error) error {
	if _, coded := status.FromError(err); coded {
		return err
	}
	for _, known := range codesOf {
		if errors.Is(err, known.err) {
			return status.Error(known.code, err.Error())
		}
	}
	return status.Error(codes.Internal, err.Error())
}
