package trim

import (
	"slices"
	"unique"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	"github.com/snapshot-group/snapshot-group/pkg/group"
)

// words are on most restore points.
var words = wordsOf(
	group.GroupLabel, group.RunLabel, group.TriggerLabel, group.ClaimLabel, group.DefaultLabelKey,
	group.TriggerSchedule, group.InGroupFinalizer, group.GroupSnapshotKind,
)

func wordsOf(all ...string) map[string]string {
	out := map[string]string{}
	for _, word := range all {
		out[word] = word
	}
	return out
}

// share returns the one copy of a string that the objects in the cache have. Of what is no word, such as the name of a group, those
// objects have the same copy that come at about the same time: unique forgets what nobody holds a handle of.
func share[S ~string](s S) S {
	if word, known := words[string(s)]; known {
		return S(word)
	}
	return S(unique.Make(string(s)).Value())
}

// sharePtr is share of a string that may be missing.
func sharePtr(s *string) *string {
	if s == nil {
		return nil
	}
	return ptr.To(share(*s))
}

// shareAll shares the keys and values of a map.
func shareAll(m map[string]string) map[string]string {
	if m == nil {
		return nil
	}
	out := make(map[string]string, len(m))
	for k, v := range m {
		out[share(k)] = share(v)
	}
	return out
}

// shareEach shares the strings of a list.
func shareEach(list []string) []string {
	out := slices.Clone(list)
	for i, s := range out {
		out[i] = share(s)
	}
	return out
}

func shareOwners(owners []metav1.OwnerReference) []metav1.OwnerReference {
	out := slices.Clone(owners)
	for i, o := range out {
		out[i].APIVersion, out[i].Kind, out[i].Name, out[i].UID = share(o.APIVersion), share(o.Kind), share(o.Name), share(o.UID)
	}
	return out
}
