package snapshots

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/snapshot-group/snapshot-group/e2e/loopback"
)

// requestsWhenIdle counts the requests of a loop without leader election that has nothing to do. Standing watches are not
// requests; one that is opened again is.
func (s *site) requestsWhenIdle(ctx context.Context, within time.Duration) (int, error) {
	s.loop.Stop()
	address, err := s.startAlone(ctx)
	if err != nil {
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

// startAlone starts the loop without leader election, and returns the address of its metrics.
func (s *site) startAlone(ctx context.Context) (address string, err error) {
	address = loopback.Address()
	s.loop, err = s.release.StartSnapshotter(ctx, "--leader-elect=false", "--metrics-bind-address="+address)
	return address, err
}

// requests is how many requests to the API server a process has had answered, by its own metrics.
func (s *site) requests(ctx context.Context, address string) (int, error) {
	n, err := s.metric(ctx, address, "rest_client_requests_total{")
	return int(n), err
}

// metric is the sum of the series of a process that begin so.
func (s *site) metric(ctx context.Context, address, series string) (float64, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+address+"/metrics", http.NoBody)
	if err != nil {
		return 0, fmt.Errorf("read metrics: %w", err)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, fmt.Errorf("read metrics: %w", err)
	}
	defer res.Body.Close() //nolint:errcheck // read only
	total := 0.0
	lines := bufio.NewScanner(res.Body)
	for lines.Scan() {
		if !strings.HasPrefix(lines.Text(), series) {
			continue
		}
		n, err := strconv.ParseFloat(lines.Text()[strings.LastIndex(lines.Text(), " ")+1:], 64)
		if err != nil {
			return 0, fmt.Errorf("read metrics: %w", err)
		}
		total += n
	}
	if err := lines.Err(); err != nil {
		return 0, fmt.Errorf("read metrics: %w", err)
	}
	return total, nil
}
