package admit

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	admissionv1 "k8s.io/api/admission/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/snapshot-group/snapshot-group/pkg/group"
)

// FuzzWebhooks sends any body to every webhook. None panics, each answers clearly and tells of it
// once, and claims admits nothing that it could not read.
func FuzzWebhooks(f *testing.F) {
	files, err := filepath.Glob("testdata/*.json")
	if err != nil || len(files) == 0 {
		f.Fatalf("no reviews in testdata: %v", err)
	}
	for _, file := range files {
		body, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(body)
	}
	const begin = `{"apiVersion":"admission.k8s.io/v1","kind":"AdmissionReview","request":{"uid":"u","name":"x","namespace":"shop",`
	for _, body := range []string{
		"", "null", "[]", "{", `{"request":null}`, `{"apiVersion":"admission.k8s.io/v1","kind":"AdmissionReview","request":null}`, `{"request":{"object":7}}`, "\xff",
		begin + `"operation":"CREATE","resource":{"version":"v1","resource":"namespaces"},"object":{"metadata":{"labels":{"snapshot-group":"enabled"},"annotations":{"snapshot-group/schedule":"TZ="}}}}}`,
		begin + `"operation":"DELETE","resource":{"group":"snapshot.storage.k8s.io","version":"v1","resource":"volumesnapshotclasses"},"oldObject":{"driver":"a.csi"}}}`,
		begin + `"operation":"UPDATE","resource":{"group":"groupsnapshot.storage.k8s.io","resource":"volumegroupsnapshotclasses"},"object":{},"oldObject":{"driver":"a.csi"}}}`,
		begin + `"operation":"CREATE","resource":{"group":"groupsnapshot.storage.k8s.io","resource":"volumegroupsnapshots"},"object":{"spec":{"source":{"selector":{"matchLabels":{"=":"\u0000"}}}}}}}`,
		begin + `"operation":"CREATE","resource":{"group":"groupsnapshot.storage.k8s.io","resource":"volumegroupsnapshots"},"object":{"spec":{"source":{"selector":{"matchExpressions":[{}]}}}}}}`,
		begin + `"operation":"DELETE","resource":{"group":"snapshot.storage.k8s.io","resource":"volumesnapshots"},"oldObject":{"metadata":{"ownerReferences":[{"kind":"VolumeGroupSnapshot","apiVersion":"groupsnapshot.storage.k8s.io"}]}}}}`,
		begin + `"operation":"CREATE","resource":{"resource":"persistentvolumeclaims"},"object":{"metadata":{"labels":{"velero.io/volume-group":"db"}},"spec":null}}}`,
		begin + `"operation":"UPDATE","resource":{"resource":"persistentvolumeclaims"},"object":{"metadata":{"labels":{"velero.io/volume-group":"db"}}},"oldObject":null}}`,
	} {
		f.Add([]byte(body))
	}
	fixture := newFixture(f, clusterOf(claimObject("data-1", "fast", inGroup), groupSnapshotObject(ownerUID, nil)))
	f.Fuzz(func(t *testing.T, body []byte) {
		for _, webhook := range everyWebhook {
			fixture.ask(t, webhook, body)
		}
	})
}

// FuzzObjects sends every webhook good reviews of any objects of its kind.
func FuzzObjects(f *testing.F) {
	resources := map[string]metav1.GroupVersionResource{
		"claims": {Resource: "persistentvolumeclaims"}, "namespaces": {Resource: "namespaces"},
		"classes":        {Group: group.SnapshotAPIGroup, Resource: "volumesnapshotclasses"},
		"groupsnapshots": {Group: group.GroupSnapshotAPIGroup, Resource: "volumegroupsnapshots"},
		"members":        {Group: group.SnapshotAPIGroup, Resource: "volumesnapshots"}, "labels": {Group: group.SnapshotAPIGroup, Resource: "volumesnapshots"},
	}
	for _, object := range []string{
		`{"metadata":{"labels":{"velero.io/volume-group":"db"},"annotations":{"velero.io/csi-volume-group-snapshot-class":"x"}},"spec":{"storageClassName":"slow","volumeName":"pv"}}`,
		`{"metadata":{"labels":{"snapshot-group":"enabled"},"annotations":{"snapshot-group/schedule":"@daily","snapshot-group/keep":"0","snapshot-group/x":""}}}`,
		`{"driver":"a.csi","metadata":{"annotations":{"snapshot.storage.kubernetes.io/is-default-class":"true"}}}`,
		`{"spec":{"volumeGroupSnapshotClassName":"a-groups","source":{"selector":{"matchLabels":{"velero.io/volume-group":"db"},"matchExpressions":[{"key":"","operator":""}]}}}}`,
		`{"metadata":{"ownerReferences":[{"apiVersion":"groupsnapshot.storage.k8s.io/v1","kind":"VolumeGroupSnapshot","name":"db-1","uid":"` + ownerUID + `"}]},"spec":{"source":{"persistentVolumeClaimName":"data-1"}}}`,
		`{"metadata":{"deletionTimestamp":"2026-08-22T12:00:00Z","ownerReferences":[{}],"labels":null,"annotations":{"":""}},"spec":{"source":{}}}`, "null", "{}",
	} {
		f.Add([]byte(object), []byte("{}"))
		f.Add([]byte("{}"), []byte(object))
	}
	fixture := newFixture(f, clusterOf(claimObject("data-1", "fast", inGroup), groupSnapshotObject(ownerUID, nil)))
	f.Fuzz(func(t *testing.T, object, oldObject []byte) {
		for _, webhook := range everyWebhook {
			for _, operation := range []admissionv1.Operation{admissionv1.Create, admissionv1.Update, admissionv1.Delete} {
				body, err := json.Marshal(admissionv1.AdmissionReview{TypeMeta: reviewType, Request: &admissionv1.AdmissionRequest{
					UID: "u", Namespace: "shop", Name: "x", Operation: operation, Resource: resources[webhook],
					Object: runtime.RawExtension{Raw: object}, OldObject: runtime.RawExtension{Raw: oldObject},
				}})
				if err != nil {
					return // not even JSON
				}
				fixture.ask(t, webhook, body)
			}
		}
	})
}

// ask fails the test where the answer to a body is unclear or told otherwise than once, or one that must not be is allowed.
func (f *fixture) ask(t *testing.T, webhook string, body []byte) {
	t.Helper()
	f.log = f.log[:0]
	code, answer := f.postAs(t, webhook, "application/json", bytes.NewReader(body))
	if why := unclear(code, answer); why != "" {
		t.Errorf("%s: %s", webhook, why)
	}
	if len(f.log) != 1 || strings.Contains(f.log[0], "panic: ") {
		t.Errorf("%s: logged %q, want one line and no panic", webhook, f.log)
	}
	if webhook == claimsWebhook && code == http.StatusOK && isAllowed(answer) && !isClaimReview(body) {
		t.Errorf("claims admitted %q", body)
	}
}

// unclear says what is wrong with the form of an answer; empty if nothing.
func unclear(code int, answer []byte) string {
	if code != http.StatusOK {
		var got metav1.Status
		if err := json.Unmarshal(answer, &got); err != nil || code < 400 || int(got.Code) != code || strings.TrimSpace(got.Message) == "" {
			return fmt.Sprintf("failed with %d %q: %v", code, answer, err)
		}
		return ""
	}
	var got admissionv1.AdmissionReview
	if err := json.Unmarshal(answer, &got); err != nil || got.Response == nil || got.Response.Result == nil {
		return fmt.Sprintf("no answer but %q: %v", answer, err)
	}
	if result := got.Response.Result; !got.Response.Allowed && (result.Code < 400 || strings.TrimSpace(result.Message) == "") {
		return fmt.Sprintf("refused with code %d and message %q", result.Code, result.Message)
	}
	return ""
}

func isAllowed(answer []byte) bool {
	var got admissionv1.AdmissionReview
	return json.Unmarshal(answer, &got) == nil && got.Response != nil && got.Response.Allowed
}

func TestAnUnclearAnswerIsSeen(t *testing.T) {
	for answer, tc := range map[string]struct {
		code  int
		clear bool
	}{
		`{"kind":"Status","code":400,"message":"why"}`: {400, true},
		`{"kind":"Status","code":500,"message":"why"}`: {400, false},
		`{"kind":"Status","code":400}`:                 {400, false},
		`why`:                                          {400, false},
		`{"response":{"uid":"u","allowed":true,"status":{"code":200}}}`:    {200, true},
		`{"response":{"uid":"u","allowed":false,"status":{"code":200}}}`:   {200, false},
		`{"response":{"allowed":false,"status":{"code":403}}}`:             {200, false},
		`{"response":{"allowed":false,"status":{"code":403,"message":1}}}`: {200, false},
		`{}`: {200, false},
	} {
		if why := unclear(tc.code, []byte(answer)); (why == "") != tc.clear {
			t.Errorf("%d %s: %q, want it clear: %t", tc.code, answer, why, tc.clear)
		}
	}
}

// isClaimReview is whether a body can be read as a review of a claim.
func isClaimReview(body []byte) bool {
	var review admissionv1.AdmissionReview
	if json.Unmarshal(body, &review) != nil || review.Request == nil {
		return false
	}
	return review.Request.Resource.Resource == "persistentvolumeclaims" && json.Unmarshal(review.Request.Object.Raw, &corev1.PersistentVolumeClaim{}) == nil
}

func TestIsClaimReview(t *testing.T) {
	for body, want := range map[string]bool{
		"{":              false,
		`{"request":{}}`: false,
		`{"request":{"resource":{"resource":"persistentvolumeclaims"},"object":{"spec":7}}}`: false,
		`{"request":{"resource":{"resource":"persistentvolumeclaims"},"object":{}}}`:         true,
	} {
		if got := isClaimReview([]byte(body)); got != want {
			t.Errorf("%s is a review of a claim: %t, want %t", body, got, want)
		}
	}
}
