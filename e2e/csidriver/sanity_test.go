package csidriver_test

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/snapshot-group/snapshot-group/e2e/cluster/components"
)

// notRun are the specs of csi-sanity 5.6.0 that a driver with our capabilities has no use for, by the reason. Every other
// spec must run and pass; a spec that begins or ceases to be skipped fails the test.
var notRun = []struct {
	reason string
	specs  []string
}{
	{"no PUBLISH_UNPUBLISH_VOLUME: a folder needs no attaching, and clusters of the tests run no attacher", []string{
		"Controller Service [Controller Server] ControllerPublishVolume should fail when no node id is provided",
		"Controller Service [Controller Server] ControllerPublishVolume should fail when no volume capability is provided",
		"Controller Service [Controller Server] ControllerPublishVolume should fail when no volume id is provided",
		"Controller Service [Controller Server] ControllerPublishVolume should fail when publishing more volumes than the node max attach limit",
		"Controller Service [Controller Server] ControllerPublishVolume should fail when the node does not exist",
		"Controller Service [Controller Server] ControllerPublishVolume should fail when the volume does not exist",
		"Controller Service [Controller Server] ControllerPublishVolume should fail when the volume is already published but is incompatible",
		"Controller Service [Controller Server] ControllerUnpublishVolume should fail when no volume id is provided",
		"Controller Service [Controller Server] volume lifecycle should be idempotent",
		"Controller Service [Controller Server] volume lifecycle should work",
	}},
	{"no STAGE_UNSTAGE_VOLUME: a folder is bound to each target directly", []string{
		"Node Service NodeStageVolume should fail when no staging target path is provided",
		"Node Service NodeStageVolume should fail when no volume capability is provided",
		"Node Service NodeStageVolume should fail when no volume id is provided",
		"Node Service NodeUnstageVolume should fail when no staging target path is provided",
		"Node Service NodeUnstageVolume should fail when no volume id is provided",
	}},
	{"no EXPAND_VOLUME on the node: a folder has no file system to grow", []string{
		"Node Service NodeExpandVolume should fail when no volume id is provided",
		"Node Service NodeExpandVolume should fail when no volume path is provided",
		"Node Service NodeExpandVolume should fail when volume is not found",
		"Node Service NodeExpandVolume should work if node-expand is called after node-publish",
	}},
	{"no MODIFY_VOLUME: there is nothing about a folder to modify", []string{
		"Controller Service [Controller Server] CreateVolume should create volume with a volume attribute class",
		"Controller Service [Controller Server] CreateVolume should not create volume with an invalid volume attribute class",
		"ModifyVolume [Controller Server] should fail if no volume id is given",
		"ModifyVolume [Controller Server] should fail if specified mutable parameters are not supported by the volume",
		"ModifyVolume [Controller Server] should fail if volume does not exist",
		"ModifyVolume [Controller Server] should fail to modify a volume created with a volume attribute class " +
			"if new mutable parameters are not supported by volume",
		"ModifyVolume [Controller Server] should modify a volume created with a volume attribute class",
		"ModifyVolume [Controller Server] should modify a volume created without a volume attribute class",
	}},
	{"no health RPCs: alpha, and no part of group snapshots", []string{
		"ControllerGetVolumeHealth [Controller Server] should fail when no volume id is provided",
		"ControllerGetVolumeHealth [Controller Server] should return health for a valid volume",
		"ControllerListVolumeHealth [Controller Server] should return appropriate response",
		"Node Service NodeGetStorageHealth should return appropriate response",
		"Node Service NodeGetVolumeHealth should fail when no volume id is provided",
		"Node Service NodeGetVolumeHealth should return health for a valid volume",
	}},
	{"no SNAPSHOT_ACCESSIBILITY_CONSTRAINTS: one node, no topology", []string{
		"CreateSnapshot [Controller Server] should succeed when creating a snapshot with accessibility requirements",
	}},
	{"pending in csi-sanity itself, for every driver; TestPagesStayRightWhileTheListChanges tests what it would", []string{
		"Controller Service [Controller Server] ListVolumes pagination should detect volumes added between pages " +
			"and accept tokens when the last volume from a page is deleted",
	}},
}

// mustRun are the specs of group snapshots, by name, so that none of them can go missing unnoticed.
var mustRun = []string{
	"GroupController Service [GroupController Server] GroupControllerGetCapabilities should return appropriate capabilities",
	"GroupController Service [GroupController VolumeGroupSnapshots] CreateVolumeGroupSnapshot should fail when no name is provided",
	"GroupController Service [GroupController VolumeGroupSnapshots] DeleteVolumeGroupSnapshot should fail when no volume id is provided",
	"GroupController Service [GroupController VolumeGroupSnapshots] DeleteVolumeGroupSnapshot should succeed when an invalid volume id is used",
	"GroupController Service [GroupController VolumeGroupSnapshots] GetVolumeGroupSnapshot should fail when an invalid volume id is used",
	"GroupController Service [GroupController VolumeGroupSnapshots] GetVolumeGroupSnapshot should fail when no volume id is provided",
}

func TestTheDriverPassesCSISanity(t *testing.T) {
	sanity, d := sanityBinary(t), startNode(t)
	command := exec.Command(sanity, "--csi.endpoint", d.path("csi.sock"), "--csi.mountdir", d.path("mount"),
		"--csi.stagingdir", d.path("staging"), "--ginkgo.json-report", d.path("report.json"), "--ginkgo.no-color")
	output, err := command.CombinedOutput()
	if err != nil {
		t.Errorf("csi-sanity: %v\n%s", err, output)
	}
	report, err := os.ReadFile(d.path("report.json"))
	if err != nil {
		t.Fatal(err)
	}
	problems, err := judge(report)
	if err != nil {
		t.Fatal(err)
	}
	for _, problem := range problems {
		t.Error(problem)
	}
	if left := d.inventory(t); len(left.Volumes)+len(left.Snapshots)+len(left.Groups) != 0 {
		t.Errorf("storage holds %+v after csi-sanity has cleaned up, want nothing", left)
	}
}

// judge reads Ginkgo's report and returns what is wrong with it: specs that failed, that were skipped without a reason of
// ours or ran in spite of one, and group snapshot specs that did not pass.
func judge(report []byte) ([]string, error) {
	var suites []struct {
		SuiteSucceeded bool
		SpecReports    []struct {
			ContainerHierarchyTexts    []string
			LeafNodeType, LeafNodeText string
			State                      string
		}
	}
	if err := json.Unmarshal(report, &suites); err != nil {
		return nil, fmt.Errorf("understand the report: %w", err)
	}
	var problems, skipped, passed []string
	for _, suite := range suites {
		if !suite.SuiteSucceeded {
			problems = append(problems, "the suite failed")
		}
		for _, spec := range suite.SpecReports {
			name := strings.Join(append(spec.ContainerHierarchyTexts, spec.LeafNodeText), " ")
			switch {
			case spec.State == "skipped" || spec.State == "pending":
				skipped = append(skipped, name)
			case spec.State != "passed":
				problems = append(problems, fmt.Sprintf("%s: %s", spec.State, name))
			case spec.LeafNodeType == "It":
				passed = append(passed, name)
			}
		}
	}
	var justified []string
	for _, group := range notRun {
		justified = append(justified, group.specs...)
	}
	slices.Sort(skipped)
	slices.Sort(justified)
	if diff := cmp.Diff(justified, skipped); diff != "" {
		problems = append(problems, "specs that are skipped (-justified +skipped):\n"+diff)
	}
	for _, name := range mustRun {
		if !slices.Contains(passed, name) {
			problems = append(problems, "did not pass: "+name)
		}
	}
	return problems, nil
}

func TestJudgeSeesWhatIsWrongWithAReport(t *testing.T) {
	type spec struct{ LeafNodeType, LeafNodeText, State string }
	report := func(succeeded bool, change func([]spec) []spec) []byte {
		specs := []spec{{"BeforeSuite", "", "passed"}}
		for _, name := range mustRun {
			specs = append(specs, spec{"It", name, "passed"})
		}
		for _, group := range notRun {
			for _, name := range group.specs {
				specs = append(specs, spec{"It", name, "skipped"})
			}
		}
		data, err := json.Marshal([]any{map[string]any{"SuiteSucceeded": succeeded, "SpecReports": change(specs)}})
		if err != nil {
			t.Fatal(err)
		}
		return data
	}
	same := func(specs []spec) []spec { return specs }
	for name, tc := range map[string]struct {
		report []byte
		want   int
	}{
		"a report as it should be":              {report(true, same), 0},
		"a suite that failed":                   {report(false, same), 1},
		"a spec that failed":                    {report(true, func(s []spec) []spec { return append(s, spec{"It", "x", "failed"}) }), 1},
		"a spec that panicked":                  {report(true, func(s []spec) []spec { return append(s, spec{"It", "x", "panicked"}) }), 1},
		"a spec skipped without a reason":       {report(true, func(s []spec) []spec { return append(s, spec{"It", "x", "skipped"}) }), 1},
		"a spec that runs in spite of a reason": {report(true, func(s []spec) []spec { return s[:len(s)-1] }), 1},
		"a group spec that is missing":          {report(true, func(s []spec) []spec { return append(s[:1], s[2:]...) }), 1},
		"a report of nothing":                   {[]byte("[]"), 1 + len(mustRun)},
	} {
		t.Run(name, func(t *testing.T) {
			problems, err := judge(tc.report)
			if err != nil || len(problems) != tc.want {
				t.Errorf("judge found %q, %v, want %d problems", problems, err, tc.want)
			}
		})
	}
	if _, err := judge([]byte("no report")); err == nil {
		t.Error("judge takes something for a report that is none")
	}
}

// sanityBinary returns csi-sanity at its pinned version, prebuilt or built.
func sanityBinary(t *testing.T) string {
	t.Helper()
	bin, err := components.Build(t.Context(), components.Options{Progress: t.Output()}, "csi-sanity")
	if err != nil {
		t.Fatal(err)
	}
	return bin["csi-sanity"]
}
