package admit

import (
	"bytes"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	admissionv1 "k8s.io/api/admission/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/webhook/admission"
)

// FuzzWebhooks sends any body to every webhook. None panics, each answers, and claims admits nothing that it could not read.
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
		"", "null", "[]", "{", `{"request":null}`, `{"request":{"object":7}}`, "\xff",
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
	fixture := newFixture(f, cluster(claimObject("data-1", "fast", inGroup), groupSnapshotObject(ownerUID, nil)))
	handlers := Webhooks(fixture.facts, Options{}, fixture.respond)
	f.Fuzz(func(t *testing.T, body []byte) {
		for path, handler := range handlers {
			request := httptest.NewRequest(http.MethodPost, path, bytes.NewReader(body)).WithContext(t.Context())
			request.Header.Set("Content-Type", "application/json")
			recorder := httptest.NewRecorder()
			(&admission.Webhook{Handler: handler, RecoverPanic: ptr.To(false)}).ServeHTTP(recorder, request)
			var got admissionv1.AdmissionReview
			if err := json.Unmarshal(recorder.Body.Bytes(), &got); err != nil || got.Response == nil || got.Response.Result == nil {
				t.Fatalf("%s: no answer but %q: %v", path, recorder.Body, err)
			}
			if got.Response.Allowed && path == "/claims" && !isClaimReview(body) {
				t.Errorf("claims admitted %q", body)
			}
			if code := got.Response.Result.Code; !got.Response.Allowed && (code < 400 || strings.TrimSpace(got.Response.Result.Message) == "") {
				t.Errorf("%s: refused with code %d and message %q", path, code, got.Response.Result.Message)
			}
		}
		fixture.log = fixture.log[:0]
	})
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
