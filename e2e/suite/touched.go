package suite

import (
	"fmt"
	"strings"

	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/snapshot-group/snapshot-group/pkg/group"
)

// Touched is which object this is and what the product has done to it: it is the same text as long as the product leaves it alone. Its
// resourceVersion is not, for controllers go on to write status.
func Touched(o client.Object) string {
	said := []string{string(o.GetUID())}
	for _, f := range o.GetManagedFields() {
		if f.Manager == group.FieldOwner {
			said = append(said, fmt.Sprintf("written to at %s: %s", f.Time, f.FieldsV1))
		}
	}
	if o.GetDeletionTimestamp() != nil {
		said = append(said, "being deleted")
	}
	return strings.Join(said, ", ")
}
