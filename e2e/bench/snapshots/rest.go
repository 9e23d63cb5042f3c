package snapshots

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// requestsWhenIdle counts the requests of a loop without leader election that has nothing to do. Standing watches are not
// requests; one that is opened again is.
func (s *site) requestsWhenIdle(ctx context.Context, within time.Duration) (int, error) {
	s.loop.Stop()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, fmt.Errorf("find a free port: %w", err)
	}
	address := listener.Addr().String()
	_ = listener.Close() // held only to be free
	if s.loop, err = s.release.StartSnapshotter(ctx, "--leader-elect=false", "--metrics-bind-address="+address); err != nil {
		return 0, err
	}
	before, err := s.requests(ctx, address)
	for last := -1; err == nil && before != last; { // it is ready a moment before it is at rest
		last = before
		if err = wait(ctx, time.Second); err == nil {
			before, err = s.requests(ctx, address)
		}
	}
	if err != nil {
		return 0, err
	}
	if err := wait(ctx, within); err != nil {
		return 0, err
	}
	after, err := s.requests(ctx, address)
	if err == nil && before == 0 {
		err = errors.New("count the requests of the loop: it has made none, not even to start")
	}
	return after - before, err
}

func wait(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(d):
		return nil
	}
}

// requests is how many requests to the API server a process has had answered, by its own metrics.
func (s *site) requests(ctx context.Context, address string) (int, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+address+"/metrics", http.NoBody)
	if err != nil {
		return 0, fmt.Errorf("read metrics: %w", err)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, fmt.Errorf("read metrics: %w", err)
	}
	defer res.Body.Close() //nolint:errcheck // read only
	total := 0
	lines := bufio.NewScanner(res.Body)
	for lines.Scan() {
		if !strings.HasPrefix(lines.Text(), "rest_client_requests_total{") {
			continue
		}
		n, err := strconv.ParseFloat(lines.Text()[strings.LastIndex(lines.Text(), " ")+1:], 64)
		if err != nil {
			return 0, fmt.Errorf("read metrics: %w", err)
		}
		total += int(n)
	}
	if err := lines.Err(); err != nil {
		return 0, fmt.Errorf("read metrics: %w", err)
	}
	return total, nil
}
