package proxy

import (
	"context"
	"net/http"
	"sync"
)

// CutWatches ends every watch that stands and returns how many there were.
func (p *Proxy) CutWatches() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, cut := range p.watches {
		cut()
	}
	return len(p.watches)
}

// Delay holds back what watches of a resource tell until release is called.
func (p *Proxy) Delay(resource string) (release func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	late := make(chan struct{})
	p.late[resource] = late
	return sync.OnceFunc(func() { close(late) })
}

func (p *Proxy) watch(w http.ResponseWriter, r *http.Request) {
	ctx, cut := context.WithCancel(r.Context())
	defer cut()
	p.mu.Lock()
	p.watches[r] = cut
	p.mu.Unlock()
	defer func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		delete(p.watches, r)
	}()
	p.api.ServeHTTP(&patient{ResponseWriter: w, wait: func() { p.awaitRelease(ctx, r.URL.Path) }}, r.WithContext(ctx))
}

// awaitRelease returns when watches of a path are not held back any more, or when ctx ends.
func (p *Proxy) awaitRelease(ctx context.Context, path string) {
	parts := resourcePath.FindStringSubmatch(path)
	if parts == nil {
		return
	}
	p.mu.Lock()
	late, held := p.late[parts[1]]
	p.mu.Unlock()
	if !held {
		return
	}
	select {
	case <-late:
	case <-ctx.Done():
	}
}

// patient waits before it passes anything on.
type patient struct {
	http.ResponseWriter

	wait func()
}

func (p *patient) Write(part []byte) (int, error) {
	p.wait()
	return p.ResponseWriter.Write(part)
}

// Unwrap is for http.ResponseController, by which the reverse proxy flushes.
func (p *patient) Unwrap() http.ResponseWriter { return p.ResponseWriter }
