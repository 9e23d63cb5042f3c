package proxy_test

import (
	"io"
	"net/http"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/snapshot-group/snapshot-group/e2e/fault/proxy"
)

func TestOfWritesThatGetNoAnswerTheRefusedOnesDo(t *testing.T) {
	_, p, client, url := start(t)
	var taken []string
	p.Set(proxy.AfterEach(func(write string) { taken = append(taken, write) }))
	if status := send(t, client, http.MethodPatch, url+one); status != 0 {
		t.Errorf("a write that is taken is answered with %d, want no answer", status)
	}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodDelete, url+refusing+"/s", http.NoBody)
	must(t, err)
	res, err := client.Do(req)
	must(t, err)
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	must(t, err)
	if res.StatusCode != http.StatusForbidden || res.Header.Get("Why") != "refused" || string(body) != "no" {
		t.Errorf("a write that is refused is answered with %s, %v and %q, want what the API server said", res.Status, res.Header, body)
	}
	if diff := cmp.Diff([]string{"PATCH namespaces"}, taken); diff != "" {
		t.Errorf("told of (-want +got):\n%s", diff)
	}
}

func TestOfWritesAtOnceOneIsTaken(t *testing.T) {
	a, p, client, url := start(t)
	taken, release := make(chan struct{}), make(chan struct{})
	p.Set(proxy.AfterEach(func(string) { close(taken); <-release }))
	answers := make(chan int, 2)
	write := func() { answers <- send(t, client, http.MethodPatch, url+one) }
	go write()
	<-taken
	go write()
	for len(p.Writes()) < 2 {
		<-time.After(time.Millisecond)
	}
	close(release)
	for range 2 {
		if status := <-answers; status != 0 {
			t.Errorf("answered with %d, want no answer", status)
		}
	}
	if n := len(a.requests()); n != 1 {
		t.Errorf("%d writes reached the API server, want that which came first", n)
	}
}
