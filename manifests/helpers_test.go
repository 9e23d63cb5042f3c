package manifests_test

import (
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"testing"

	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	appsv1 "k8s.io/api/apps/v1"
	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	utilyaml "k8s.io/apimachinery/pkg/util/yaml"
	"sigs.k8s.io/yaml"
)

// kinds are those that the chart may hold; another kind fails every test here until it is added.
var kinds = map[string]func() runtime.Object{
	"v1/Namespace":                                    func() runtime.Object { return &corev1.Namespace{} },
	"v1/Secret":                                       func() runtime.Object { return &corev1.Secret{} },
	"v1/Service":                                      func() runtime.Object { return &corev1.Service{} },
	"v1/ServiceAccount":                               func() runtime.Object { return &corev1.ServiceAccount{} },
	"apps/v1/Deployment":                              func() runtime.Object { return &appsv1.Deployment{} },
	"coordination.k8s.io/v1/Lease":                    func() runtime.Object { return &coordinationv1.Lease{} },
	"policy/v1/PodDisruptionBudget":                   func() runtime.Object { return &policyv1.PodDisruptionBudget{} },
	"rbac.authorization.k8s.io/v1/ClusterRole":        func() runtime.Object { return &rbacv1.ClusterRole{} },
	"rbac.authorization.k8s.io/v1/ClusterRoleBinding": func() runtime.Object { return &rbacv1.ClusterRoleBinding{} },
	"rbac.authorization.k8s.io/v1/Role":               func() runtime.Object { return &rbacv1.Role{} },
	"rbac.authorization.k8s.io/v1/RoleBinding":        func() runtime.Object { return &rbacv1.RoleBinding{} },
	"admissionregistration.k8s.io/v1/ValidatingWebhookConfiguration": func() runtime.Object {
		return &admissionregistrationv1.ValidatingWebhookConfiguration{}
	},
	"admissionregistration.k8s.io/v1/MutatingWebhookConfiguration": func() runtime.Object {
		return &admissionregistrationv1.MutatingWebhookConfiguration{}
	},
}

// object is one object of the manifest, by "Kind name".
type object struct {
	id    string
	value runtime.Object
}

// installed reads install.yaml in its order.
func installed(t *testing.T) []object {
	t.Helper()
	file, err := os.Open("install.yaml")
	if err != nil {
		t.Fatal(err)
	}
	objects, err := decode(utilyaml.NewDocumentDecoder(file))
	if err != nil {
		t.Fatal(err)
	}
	return objects
}

// decode reads objects strictly: a field that Kubernetes does not know, which it would drop without a word, is an error.
func decode(documents io.ReadCloser) ([]object, error) {
	var objects []object
	buffer := make([]byte, 1<<20)
	for {
		n, err := documents.Read(buffer)
		if errors.Is(err, io.EOF) {
			return objects, documents.Close()
		}
		if err != nil {
			return nil, errors.Join(err, documents.Close())
		}
		o, err := decodeOne(buffer[:n])
		if err != nil {
			return nil, errors.Join(err, documents.Close())
		}
		if o.value != nil {
			objects = append(objects, o)
		}
	}
}

func decodeOne(document []byte) (object, error) {
	var head metav1.PartialObjectMetadata
	if err := yaml.Unmarshal(document, &head); err != nil {
		return object{}, err
	}
	if head.Kind == "" { // comments
		return object{}, nil
	}
	id := head.Kind + " " + head.Name
	newObject, known := kinds[head.APIVersion+"/"+head.Kind]
	if !known {
		return object{}, fmt.Errorf("%s: no kind of ours", id)
	}
	value := newObject()
	if err := yaml.UnmarshalStrict(document, value); err != nil {
		return object{}, fmt.Errorf("%s: %w", id, err)
	}
	return object{id, value}, nil
}

// find returns the object of install.yaml with an id.
func find[T runtime.Object](t *testing.T, id string) T {
	t.Helper()
	var none T
	for _, o := range installed(t) {
		if o.id == id {
			return o.value.(T)
		}
	}
	t.Fatalf("no %s in install.yaml", id)
	return none
}

func container(t *testing.T, name string) corev1.Container {
	t.Helper()
	containers := find[*appsv1.Deployment](t, "Deployment snapshot-group").Spec.Template.Spec.Containers
	i := slices.IndexFunc(containers, func(c corev1.Container) bool { return c.Name == name })
	if i < 0 {
		t.Fatalf("no container %q", name)
	}
	return containers[i]
}

func TestDecodeFailsOnWhatKubernetesWouldDrop(t *testing.T) {
	for name, tc := range map[string]struct{ document, want string }{
		"an unknown field": {"apiVersion: v1\nkind: Service\nmetadata: {name: a}\nspec: {port: 443}\n",
			`Service a: error unmarshaling JSON: while decoding JSON: json: unknown field "port"`},
		"an unknown kind": {"apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\n", "ConfigMap a: no kind of ours"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := decode(utilyaml.NewDocumentDecoder(io.NopCloser(strings.NewReader(tc.document))))
			if err == nil || err.Error() != tc.want {
				t.Errorf("error %v, want %s", err, tc.want)
			}
		})
	}
}
