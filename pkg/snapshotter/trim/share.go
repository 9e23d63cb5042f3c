package trim

import (
	"hash/maphash"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
)

// remembered is how long a Pool knows what it has seen. The objects of a run come within less, and those of a first list.
const remembered = 2 * time.Minute

// Pool makes what the cache keeps of objects. Many say the same: members of a restore point have run, group and owner in common, and each is
// named by its content. What a Pool has seen lately, it gives all of them one copy of, which they may have since nobody changes what is cached.
// It is safe for concurrent use.
type Pool struct {
	mu   sync.Mutex
	seen *seen // nil where nothing was seen lately
}

// seen are the copies that objects have of strings, labels and lists, by what they say.
type seen struct {
	strings map[string]*string
	labels  map[uint64]map[string]string // by a hash with seed
	seed    maphash.Seed
	lists   map[string][]string
	owners  map[string][]metav1.OwnerReference
}

// Forget leaves what has been seen to the objects that have it. After the first lists of a large cluster, to know all of it takes a lot.
func (p *Pool) Forget() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.seen = nil
}

// open returns what was seen lately, to one caller at a time, until it calls done.
func (p *Pool) open() (s *seen, done func()) {
	p.mu.Lock()
	if p.seen == nil {
		p.seen = &seen{
			seed: maphash.MakeSeed(), strings: map[string]*string{}, labels: map[uint64]map[string]string{},
			lists: map[string][]string{}, owners: map[string][]metav1.OwnerReference{},
		}
		time.AfterFunc(remembered, p.Forget)
	}
	return p.seen, p.mu.Unlock
}

// sharePtr returns the one copy of a string that may be missing.
func (s *seen) sharePtr(to *string) *string {
	if to == nil {
		return nil
	}
	if known, found := s.strings[*to]; found {
		return known
	}
	s.strings[*to] = to
	return to
}

// share returns the one copy of a string.
func share[S ~string](s *seen, text S) S {
	return S(*s.sharePtr(ptr.To(string(text))))
}

// shareLabels returns the one copy of labels or annotations.
func (s *seen) shareLabels(all map[string]string) map[string]string {
	if len(all) == 0 {
		return nil
	}
	var sum uint64 // of the hashes of the labels, which come in any order
	for k, v := range all {
		sum += maphash.Comparable(s.seed, [2]string{k, v})
	}
	if known, found := s.labels[sum]; found && maps.Equal(known, all) {
		return known
	}
	out := make(map[string]string, len(all))
	for k, v := range all {
		out[share(s, k)] = share(s, v)
	}
	s.labels[sum] = out
	return out
}

// flags are the one copy of either.
var flags = map[bool]*bool{false: ptr.To(false), true: ptr.To(true)}

func flag(f *bool) *bool {
	if f == nil {
		return nil
	}
	return flags[*f]
}

// shareList returns the one copy of a list of names.
func (s *seen) shareList(all []string) []string {
	if len(all) == 0 {
		return nil
	}
	key := strings.Join(all, "\x00")
	known, found := s.lists[key]
	if !found {
		for _, text := range all {
			known = append(known, share(s, text))
		}
		known = slices.Clip(known)
		s.lists[key] = known
	}
	return known
}

// shareOwners returns the one copy of references to owners.
func (s *seen) shareOwners(all []metav1.OwnerReference) []metav1.OwnerReference {
	if len(all) == 0 {
		return nil
	}
	var say strings.Builder
	for _, o := range all {
		say.WriteString(o.String())
	}
	key := say.String()
	known, found := s.owners[key]
	if !found {
		known = slices.Clone(all)
		for i, o := range known {
			known[i].APIVersion, known[i].Kind, known[i].Name, known[i].UID = share(s, o.APIVersion), share(s, o.Kind), share(s, o.Name), share(s, o.UID)
		}
		s.owners[key] = known
	}
	return known
}
