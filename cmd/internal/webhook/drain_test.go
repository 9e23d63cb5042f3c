package webhook

import (
	"context"
	"crypto/tls"
	"io"
	"net/http"
	"net/http/httptrace"
	"testing"
	"time"

	clocktesting "k8s.io/utils/clock/testing"
)

func TestTheWebhookAnswersOnForTheDelay(t *testing.T) {
	fake := clocktesting.NewFakeClock(time.Date(2026, 8, 22, 12, 0, 0, 0, time.UTC))
	ctx, stop := context.WithCancel(t.Context())
	delayed := (&drain{clock: fake}).delay(ctx, 5*time.Second)
	stop()
	for !fake.HasWaiters() {
		if t.Context().Err() != nil {
			t.Fatal("the delay does not begin")
		}
	}
	fake.Step(5*time.Second - 1)
	if err := delayed.Err(); err != nil {
		t.Errorf("it ended before the delay: %v", err)
	}
	fake.Step(1)
	<-delayed.Done()
}

func TestEachConnectionEndsInGoodOrderOnceTheDrainHasBegun(t *testing.T) {
	ctx, stop := context.WithCancel(t.Context())
	d := &drain{}
	address, ended := serve(ctx, t, d.parting(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {})))
	apiServer := &http.Client{Transport: &http.Transport{ForceAttemptHTTP2: true, TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}}
	if first, second := opened(t, apiServer, address), opened(t, apiServer, address); !first || second {
		t.Errorf("connections opened before the drain: first request %t, second %t, want true and false", first, second)
	}
	d.begun.Store(true)
	const most = 50 // requests that may pass until the other side has heard of it; it hears with the first answer
	again := false
	for range most {
		again = again || opened(t, apiServer, address)
	}
	if !again {
		t.Error("no other connection is opened during the drain")
	}
	stop()
	if err := <-ended; err != nil {
		t.Errorf("server ended with %v", err)
	}
}

// opened sends a request, which must be answered, and returns whether a connection was opened for it.
func opened(t *testing.T, from *http.Client, address string) bool {
	t.Helper()
	opened := false
	ctx := httptrace.WithClientTrace(t.Context(), &httptrace.ClientTrace{GotConn: func(c httptrace.GotConnInfo) { opened = !c.Reused }})
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "https://"+address, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	response, err := from.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	if _, err := io.Copy(io.Discard, response.Body); err != nil || response.ProtoMajor != 2 {
		t.Fatalf("answer by %s, error %v, want one by HTTP/2", response.Proto, err)
	}
	return opened
}
