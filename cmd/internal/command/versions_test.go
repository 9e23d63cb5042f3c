package command

import (
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	groupsnapshotv1 "github.com/kubernetes-csi/external-snapshotter/client/v8/apis/volumegroupsnapshot/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
)

// discoveryServer serves group snapshots in some versions, each with these resources.
func discoveryServer(t *testing.T, versions, resources []string) *rest.Config {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		version, found := strings.CutPrefix(r.URL.Path, "/apis/groupsnapshot.storage.k8s.io/")
		if !found || !slices.Contains(versions, version) {
			w.Header().Set("Content-Type", "application/json")
			w.WriteHeader(http.StatusNotFound)
			_ = json.NewEncoder(w).Encode(metav1.Status{Status: metav1.StatusFailure, Code: http.StatusNotFound, Reason: metav1.StatusReasonNotFound})
			return
		}
		list := metav1.APIResourceList{TypeMeta: metav1.TypeMeta{Kind: "APIResourceList", APIVersion: "v1"}, GroupVersion: r.URL.Path[len("/apis/"):]}
		for _, name := range resources {
			list.APIResources = append(list.APIResources, metav1.APIResource{Name: name})
		}
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(list)
	}))
	t.Cleanup(server.Close)
	return &rest.Config{Host: server.URL}
}

func TestTheNewestVersionThatIsServedIsUsed(t *testing.T) {
	for name, tc := range map[string]struct {
		versions, resources []string
		want                string
	}{
		"v1 where all are served":      {[]string{"v1beta1", "v1beta2", "v1"}, groupSnapshotResources, "v1"},
		"v1beta2 where v1 is not":      {[]string{"v1beta1", "v1beta2"}, groupSnapshotResources, "v1beta2"},
		"v1beta1 where it is alone":    {[]string{"v1beta1"}, groupSnapshotResources, "v1beta1"},
		"none where none is":           {nil, groupSnapshotResources, ""},
		"none that lacks the contents": {[]string{"v1"}, []string{"volumegroupsnapshots", "volumegroupsnapshotclasses"}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := GroupSnapshotVersion(t.Context(), discoveryServer(t, tc.versions, tc.resources))
			if got != tc.want || (tc.want == "") != errors.Is(err, ErrNoGroupSnapshots) {
				t.Errorf("version %q, error %v, want %q", got, err, tc.want)
			}
		})
	}
}

func TestAClusterWithoutGroupSnapshotsIsToldWhatToDo(t *testing.T) {
	_, err := GroupSnapshotVersion(t.Context(), discoveryServer(t, nil, nil))
	want := "set up: install external-snapshotter, 8.6 or later at best, with its CustomResourceDefinitions of group snapshots first: " +
		"the API server serves no group snapshots: it has [volumegroupsnapshots volumegroupsnapshotcontents volumegroupsnapshotclasses] " +
		"of API group groupsnapshot.storage.k8s.io in none of the versions [v1 v1beta2 v1beta1]"
	if got := SetUpError(err).Error(); got != want {
		t.Errorf("error %s, want %s", got, want)
	}
}

func TestTheTypesAreThoseOfTheVersionThatIsServed(t *testing.T) {
	scheme, err := Scheme("v1beta1")
	if err != nil {
		t.Fatal(err)
	}
	kinds, _, err := scheme.ObjectKinds(&groupsnapshotv1.VolumeGroupSnapshot{})
	if err != nil || len(kinds) != 1 || kinds[0].String() != "groupsnapshot.storage.k8s.io/v1beta1, Kind=VolumeGroupSnapshot" {
		t.Errorf("kinds %v, error %v, want v1beta1 alone", kinds, err)
	}
}
