package certs_test

import (
	"context"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/snapshot-group/snapshot-group/e2e/admission/outside"
	"github.com/snapshot-group/snapshot-group/pkg/group"
)

// host is what the API server calls the webhook by.
const host = outside.Name + "-webhook." + outside.Namespace + ".svc"

// upgrade makes the release one with these values; replicas that are started from now on are of it.
func upgrade(t *testing.T, values ...string) {
	t.Helper()
	must(t, release.Upgrade(t.Context(), values...))
}

// replica is a webhook and the volume that its certificate is in, if any.
type replica struct {
	*outside.Process
	volume volume
}

// start starts a replica, which is stopped with the test. secret is what its volume is of; empty for none.
func start(t *testing.T, secret string) replica {
	t.Helper()
	var flags []string
	var mounted volume
	if secret != "" {
		mounted = volume{folder: t.TempDir(), secret: secret}
		mounted.bring(t)
		flags = append(flags, "--certificate-dir="+mounted.folder)
	}
	process, err := release.StartWebhook(t.Context(), flags...)
	must(t, err)
	t.Cleanup(process.Stop)
	return replica{process, mounted}
}

// volume is a Secret as kubelet mounts it. kubelet brings what has changed when it next looks, a minute later or so; here the test
// says when.
type volume struct{ folder, secret string }

// bring makes the volume what the Secret is, in kubelet's manner: all files at once, by one link to the folder that they are in.
func (v volume) bring(t *testing.T) {
	t.Helper()
	var secret corev1.Secret
	must(t, admin.Get(t.Context(), client.ObjectKey{Namespace: outside.Namespace, Name: v.secret}, &secret))
	now := "..now" + strconv.FormatInt(time.Now().UnixNano(), 10)
	must(t, os.Mkdir(filepath.Join(v.folder, now), 0o755))
	for _, name := range []string{corev1.TLSCertKey, corev1.TLSPrivateKeyKey} {
		must(t, os.WriteFile(filepath.Join(v.folder, now, name), secret.Data[name], 0o600))
		if err := os.Symlink(filepath.Join("..data", name), filepath.Join(v.folder, name)); !errors.Is(err, os.ErrExist) {
			must(t, err)
		}
	}
	before, _ := os.Readlink(filepath.Join(v.folder, "..data")) // none at first
	must(t, os.Symlink(now, filepath.Join(v.folder, "..next")))
	must(t, os.Rename(filepath.Join(v.folder, "..next"), filepath.Join(v.folder, "..data")))
	if before != "" {
		must(t, os.RemoveAll(filepath.Join(v.folder, before)))
	}
}

// traffic creates claims and connects to the replicas, all the time, and fails the test for each request that fails. Its function ends it.
func traffic(t *testing.T, replicas ...replica) (load *outside.Load, end func()) {
	t.Helper()
	const clients = 3
	name := fmt.Sprintf("traffic-%d", time.Now().UnixNano())
	must(t, admin.Create(t.Context(), &corev1.Namespace{
		ObjectMeta: metav1.ObjectMeta{Name: name, Labels: map[string]string{group.OptInLabel: group.OptInValue}},
	}))
	load = &outside.Load{}
	for i := range clients {
		load.Add(func() error {
			return admin.Create(t.Context(), claim(name, fmt.Sprintf("data-%d", i)), client.DryRunAll)
		})
	}
	for _, r := range replicas {
		load.Add(func() error { _, err := r.Served(t.Context(), admin); return err })
	}
	return load, func() {
		t.Helper()
		requests, errs := load.Stop()
		for _, err := range errs {
			t.Errorf("a request failed: %v", err)
		}
		t.Logf("%d requests, %d failed", requests, len(errs))
	}
}

// goesOn waits until there have been some more requests.
func goesOn(t *testing.T, load *outside.Load) {
	t.Helper()
	const more = 20
	before := load.Requests()
	eventually(t, "requests to go on", func(context.Context) error {
		if now := load.Requests(); now < before+more {
			return fmt.Errorf("%d so far", now-before)
		}
		return nil
	})
}

func claim(namespace, name string) *corev1.PersistentVolumeClaim {
	return &corev1.PersistentVolumeClaim{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name, Labels: map[string]string{group.DefaultLabelKey: "db"}},
		Spec: corev1.PersistentVolumeClaimSpec{
			StorageClassName: ptr.To("csi-a"), AccessModes: []corev1.PersistentVolumeAccessMode{corev1.ReadWriteOnce},
			Resources: corev1.VolumeResourceRequirements{Requests: corev1.ResourceList{corev1.ResourceStorage: resource.MustParse("1Mi")}},
		},
	}
}

// serves waits until a replica shows a certificate that is as wanted, and its metrics tell of that one. They are read one after the other,
// and it may be renewed in between.
func (r replica) serves(t *testing.T, what string, wanted func(*x509.Certificate) bool) *x509.Certificate {
	t.Helper()
	var served *x509.Certificate
	eventually(t, what, func(ctx context.Context) error {
		var err error
		if served, err = r.Served(ctx, admin); err != nil {
			return err
		}
		if !wanted(served) {
			return fmt.Errorf("it serves that of %s with serial number %s", served.Issuer, served.SerialNumber)
		}
		return r.tellsOf(ctx, served, trusted)
	})
	return served
}

// What the metrics tell of a certificate, besides its times.
const untrusted, trusted = 0, 1

// tellsOf is an error unless the metrics, which alerts are made of, have the times of a certificate, and whether it is trusted.
func (r replica) tellsOf(ctx context.Context, served *x509.Certificate, trusted int64) error {
	metrics, err := r.Metrics(ctx)
	if err != nil {
		return err
	}
	for name, want := range map[string]int64{
		"snapshot_group_certificate_lifetime_seconds":         int64(served.NotAfter.Sub(served.NotBefore).Seconds()),
		"snapshot_group_certificate_expiry_timestamp_seconds": served.NotAfter.Unix(),
		"snapshot_group_certificate_trusted":                  trusted,
	} {
		series := metrics[name].GetMetric()
		if len(series) != 1 || int64(series[0].GetGauge().GetValue()) != want {
			return fmt.Errorf("%s = %v, want %d alone", name, series, want)
		}
	}
	return nil
}

// of is whether a certificate is of this authority.
func of(authority *x509.Certificate) func(*x509.Certificate) bool {
	return func(served *x509.Certificate) bool { return served.CheckSignatureFrom(authority) == nil }
}

// checked are the failures and warnings of kubectl snapshot-group check about certificates.
func checked(t *testing.T) []string {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), plugin, "check", "--kubeconfig="+shared.Kubeconfig(), "--output=json").Output()
	if _, exited := errors.AsType[*exec.ExitError](err); err != nil && !exited { // whose status says what it has found
		t.Fatal(err)
	}
	var list struct {
		Items []struct{ Severity, Check, Where, What string }
	}
	must(t, json.Unmarshal(out, &list))
	var found []string
	for _, f := range list.Items {
		if f.Check == "certificates" && f.Severity != "ok" {
			found = append(found, fmt.Sprintf("%s %s: %s", f.Severity, f.Where, f.What))
		}
	}
	return found
}
