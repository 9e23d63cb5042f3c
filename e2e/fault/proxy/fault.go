package proxy

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"maps"
	"net/http"
	"sync"
	"sync/atomic"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// Fault is what becomes of a write: it answers in the place of the API server, or lets that answer.
type Fault func(w http.ResponseWriter, r *http.Request, api http.Handler)

func pass(w http.ResponseWriter, r *http.Request, api http.Handler) { api.ServeHTTP(w, r) }

// Before calls do when the nth write of a name (Write.String) comes, counted from 1. That write never reaches the API server
// and gets no answer.
func Before(write string, n int, do func()) Fault {
	return atNth(write, n, func(http.ResponseWriter, *http.Request, http.Handler) { do() })
}

// After calls do when the API server has answered the nth write of a name. The client never gets that answer.
func After(write string, n int, do func()) Fault {
	return atNth(write, n, func(_ http.ResponseWriter, r *http.Request, api http.Handler) {
		api.ServeHTTP(&unheard{header: http.Header{}}, r)
		do()
	})
}

// AfterEach calls do with the name of each write that the API server has taken, of one at a time. The client never gets that answer,
// and what else it has sent by the end of do is never sent on. What is refused is answered.
func AfterEach(do func(write string)) Fault {
	var one sync.Mutex
	var did atomic.Int64
	return func(w http.ResponseWriter, r *http.Request, api http.Handler) {
		before := did.Load()
		one.Lock()
		defer one.Unlock()
		if did.Load() != before {
			panic(http.ErrAbortHandler)
		}
		said := &unheard{header: http.Header{}}
		api.ServeHTTP(said, r)
		if said.status >= http.StatusBadRequest {
			said.repeat(w)
			return
		}
		do(Write{Method: r.Method, Path: r.URL.Path}.String())
		did.Add(1)
		panic(http.ErrAbortHandler)
	}
}

// Hold keeps writes on their way until release is closed, and then lets them pass, though their client may be gone. They get
// no answer. passed is called when the API server has answered one.
func Hold(release <-chan struct{}, passed func()) Fault {
	return func(_ http.ResponseWriter, r *http.Request, api http.Handler) {
		defer passed()
		body, err := io.ReadAll(r.Body)
		if err != nil {
			panic(http.ErrAbortHandler) // it never came in whole
		}
		late := r.WithContext(context.WithoutCancel(r.Context()))
		late.Body = io.NopCloser(bytes.NewReader(body))
		<-release
		api.ServeHTTP(&unheard{header: http.Header{}}, late)
		panic(http.ErrAbortHandler)
	}
}

// atNth lets f deal with the nth write of a name, which is not answered any more.
func atNth(write string, n int, f Fault) Fault {
	var count atomic.Int64
	return func(w http.ResponseWriter, r *http.Request, api http.Handler) {
		if (Write{Method: r.Method, Path: r.URL.Path}).String() != write || count.Add(1) != int64(n) {
			api.ServeHTTP(w, r)
			return
		}
		f(w, r, api)
		panic(http.ErrAbortHandler)
	}
}

// Conflict refuses every other try to write to a path, the first among them, as if the object had just changed.
func Conflict() Fault {
	return everyOther(func(w http.ResponseWriter, r *http.Request, _ http.Handler) {
		answer(w, apierrors.NewConflict(schema.GroupResource{}, r.URL.Path, errors.New("injected by a test")))
	})
}

// Lose lets every other try to write to a path, the first among them, do its work, and answers that it timed out.
func Lose() Fault {
	return everyOther(func(w http.ResponseWriter, r *http.Request, api http.Handler) {
		api.ServeHTTP(&unheard{header: http.Header{}}, r)
		answer(w, apierrors.NewTimeoutError("injected by a test", 0))
	})
}

func everyOther(f Fault) Fault {
	var mu sync.Mutex
	tries := map[string]int{}
	return func(w http.ResponseWriter, r *http.Request, api http.Handler) {
		mu.Lock()
		tries[r.Method+r.URL.Path]++
		first := tries[r.Method+r.URL.Path]%2 == 1
		mu.Unlock()
		if first {
			f(w, r, api)
			return
		}
		api.ServeHTTP(w, r)
	}
}

// answer says what the API server would say. A client that is gone does not hear it.
func answer(w http.ResponseWriter, err *apierrors.StatusError) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(int(err.ErrStatus.Code))
	_ = json.NewEncoder(w).Encode(err.ErrStatus)
}

// unheard takes an answer that nobody gets, or not before it was looked at.
type unheard struct {
	header http.Header
	status int
	body   bytes.Buffer
}

func (u *unheard) Header() http.Header         { return u.header }
func (u *unheard) Write(b []byte) (int, error) { return u.body.Write(b) }
func (u *unheard) WriteHeader(status int)      { u.status = status }

// repeat gives the answer after all. A client that is gone does not hear it.
func (u *unheard) repeat(w http.ResponseWriter) {
	maps.Copy(w.Header(), u.header)
	w.WriteHeader(u.status)
	_, _ = w.Write(u.body.Bytes())
}
