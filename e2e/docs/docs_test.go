package docs

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	groupv1 "github.com/kubernetes-csi/external-snapshotter/client/v8/apis/volumegroupsnapshot/v1"
	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/snapshot-group/snapshot-group/e2e/suite"
	"github.com/snapshot-group/snapshot-group/pkg/group"
)

// repository is this one.
var repository = os.DirFS("../..")

// Every command of the documentation is typed once, in the order of the pages, on a cluster that is as the page says. Those that differ
// only in what stands for their words in capitals are one.
func TestEveryCommandOfTheDocumentation(t *testing.T) {
	commands, err := documented(repository)
	suite.Must(t, err)
	s := newSite(t)
	page, done := "", map[string]bool{}
	for len(commands) > 0 {
		c := commands[0]
		commands = commands[1:]
		same := standIns("CONTENT").Replace(c.Text)
		if _, is := covered.elsewhere[c.Text]; is || done[same] {
			continue
		}
		done[same] = true
		if c.Page != page {
			page = c.Page
			s.turn(t)
		}
		if err := s.try(t.Context(), c); err != nil {
			t.Error(err)
		}
		if strings.HasPrefix(c.Text, "helm install") {
			commands = append(s.notes(t), commands...)
		}
	}
}

// notes are the commands that helm tells, once it has installed the chart, to type next.
func (s *site) notes(t *testing.T) []Command {
	t.Helper()
	got, err := s.typed(t.Context(), s.dir, "helm get notes snapshot-group --namespace snapshot-group")
	suite.Must(t, err)
	commands, err := Commands("NOTES.txt", strings.ReplaceAll(got.out, "\n  ", "\n    "))
	suite.Must(t, err)
	if len(commands) < 5 {
		t.Errorf("the notes have few commands: %s", got.out)
	}
	return commands
}

// try types a command, and waits for what its reader would wait for. It must end as it should. That grep finds nothing is as good as that
// it finds something, unless what is before it fails, which says so.
func (s *site) try(ctx context.Context, c Command) error {
	want, text := covered.answers[c.Text], standIns(s.content).Replace(c.Text)
	if strings.HasPrefix(text, "tail -f ") { // its reader ends it, too
		want, text = answer{status: 124}, "timeout 1 "+text
	}
	got, err := s.typed(ctx, s.dir, text)
	if err != nil {
		return fmt.Errorf("%s: %w", c, err)
	}
	if strings.Contains(c.Text, "| grep ") && got.status == 1 && got.out+got.err == "" {
		got.status = 0
	}
	if got.status != want.status || !strings.Contains(got.err, want.says) {
		return fmt.Errorf("%s\nexit status %d, want %d, and %q in\n%s%s", c, got.status, want.status, want.says, got.err, got.out)
	}
	if strings.HasPrefix(c.Text, "helm install") {
		return s.run(ctx, s.dir, rolledOut)
	}
	return nil
}

// rolledOut waits until the product's Pods are ready.
const rolledOut = "kubectl --namespace snapshot-group rollout status deployment/snapshot-group --timeout=4m"

// written are the annotations of a Namespace that are not its user's; who asks for a run again asks for another one.
var written = []string{group.LastRunAnnotation, group.LastScheduledAnnotation, group.ScheduleSeenAnnotation, group.RunNowAnnotation}

// turn makes the cluster what a page begins with: the product installed and well, unless it was taken away; namespace db opted in, its
// claims in their group and no others, no settings, no run going on, and the restore point of the example.
func (s *site) turn(t *testing.T) {
	t.Helper()
	s.well(t)
	var ns corev1.Namespace
	suite.Eventually(t, "the run to end", func(ctx context.Context) error {
		if err := s.api.Get(ctx, client.ObjectKey{Name: "db"}, &ns); err != nil {
			return err
		}
		last, err := group.ParseLastRun(ns.Annotations)
		if asked := ns.Annotations[group.RunNowAnnotation]; err == nil && (last.Outcome == group.Running || asked != last.Request) {
			err = fmt.Errorf("last run %s, asked for %q", last, asked)
		}
		return err
	})
	before := ns.DeepCopy()
	for key := range ns.Annotations {
		if strings.HasPrefix(key, group.OptInLabel+"/") && !slices.Contains(written, key) {
			delete(ns.Annotations, key)
		}
	}
	if s.installed(t) != nil {
		ns.Labels[group.OptInLabel] = group.OptInValue
	}
	suite.Must(t, s.api.Patch(t.Context(), &ns, client.MergeFrom(before)))
	s.claims(t)
	s.point(t)
}

// claims puts those of the example into their group, and deletes those that were restored beside them.
func (s *site) claims(t *testing.T) {
	t.Helper()
	var all corev1.PersistentVolumeClaimList
	suite.Must(t, s.api.List(t.Context(), &all))
	for i := range all.Items {
		c := &all.Items[i]
		before := c.DeepCopy()
		switch {
		case c.Namespace != "db" || strings.HasSuffix(c.Name, "-copy"):
			suite.Must(t, client.IgnoreNotFound(s.api.Delete(t.Context(), c)))
		case strings.HasPrefix(c.Name, "db-") && s.installed(t) != nil:
			c.Labels[group.DefaultLabelKey] = "db-cluster-1"
			suite.Must(t, s.api.Patch(t.Context(), c, client.MergeFrom(before)))
		}
	}
}

// point makes the restore points that commands name, where they are not there, and lets go of that of the example.
func (s *site) point(t *testing.T) {
	t.Helper()
	point := &groupv1.VolumeGroupSnapshot{}
	key := client.ObjectKey{Namespace: "db", Name: example}
	err := s.api.Get(t.Context(), key, point)
	if apierrors.IsNotFound(err) {
		file, err := filepath.Abs("testdata/point.yaml")
		suite.Must(t, err)
		s.ok(t, s.dir, "kubectl apply --filename "+file)
		s.ok(t, s.dir, "kubectl wait --for=jsonpath='{.status.readyToUse}'=true --timeout=2m --filename "+file)
		suite.Must(t, s.api.Get(t.Context(), key, point))
	} else {
		suite.Must(t, err)
	}
	s.content = *point.Status.BoundVolumeGroupSnapshotContentName
	before := point.DeepCopy()
	delete(point.Labels, group.HoldLabel)
	suite.Must(t, s.api.Patch(t.Context(), point, client.MergeFrom(before)))
}

// installed is the product's Deployment; nil where there is none.
func (s *site) installed(t *testing.T) *appsv1.Deployment {
	t.Helper()
	d := &appsv1.Deployment{}
	err := s.api.Get(t.Context(), client.ObjectKey{Namespace: "snapshot-group", Name: "snapshot-group"}, d)
	if apierrors.IsNotFound(err) {
		return nil
	}
	suite.Must(t, err)
	return d
}

// well brings back what a page has taken from the release: its webhooks, or its own certificate.
func (s *site) well(t *testing.T) {
	t.Helper()
	d := s.installed(t)
	if d == nil {
		return
	}
	var hooks admissionregistrationv1.ValidatingWebhookConfiguration
	err := s.api.Get(t.Context(), client.ObjectKey{Name: "snapshot-group"}, &hooks)
	unchecked := apierrors.IsNotFound(err) || !slices.ContainsFunc(hooks.Webhooks, func(w admissionregistrationv1.ValidatingWebhook) bool {
		return w.Name == "claims.snapshot-group.admission"
	})
	spoilt := unchecked || !strings.Contains(strings.Join(d.Spec.Template.Spec.Containers[0].Args, " "), "--certificate-source=self-signed")
	if spoilt {
		s.ok(t, s.dir, "helm upgrade snapshot-group charts/snapshot-group --namespace snapshot-group --reset-values "+
			"--set image.repository=registry.example.com/snapshot-group")
		err = nil
	}
	suite.Must(t, err)
	if d.Status.UpdatedReplicas != *d.Spec.Replicas || d.Status.Replicas != d.Status.ReadyReplicas || d.Status.ObservedGeneration != d.Generation || spoilt {
		s.ok(t, s.dir, rolledOut)
	}
	suite.Eventually(t, "the former Pods to be gone, whose logs the next command might ask for", func(ctx context.Context) error {
		var pods corev1.PodList
		if err := s.api.List(ctx, &pods, client.InNamespace(d.Namespace), client.MatchingLabels(d.Spec.Selector.MatchLabels)); err != nil {
			return err
		}
		if ending := slices.IndexFunc(pods.Items, func(p corev1.Pod) bool { return p.DeletionTimestamp != nil }); ending >= 0 {
			return fmt.Errorf("pod %s is ending", pods.Items[ending].Name)
		}
		return nil
	})
}
