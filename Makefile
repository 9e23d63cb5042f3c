# Every target has a help line after ##; make verify fails on one without.
SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

# The version that is built: the chart's appVersion, unless given.
VERSION ?= $(shell awk '/^appVersion:/ {print $$2}' charts/snapshot-group/Chart.yaml)
# The architecture of the image, as Go names it.
ARCH ?= $(shell go env GOARCH)
# The folder of the cluster of `make up`, and further flags, such as --tier node; see go run ./e2e/cluster/cmd up --help.
CLUSTER_DIR ?= .cluster
CLUSTER_FLAGS ?=
# How many packages of tests go on at once, most of whose time is spent waiting for a cluster, and what they are built without: symbols
# for a debugger, and the checks that `make verify` makes, too.
E2E_FLAGS ?= -p 3 -ldflags '-s -w' -vet=off
# How long `make fuzz` fuzzes each target.
FUZZ_TIME ?= 1m
# Flags of `make bench-admission` and `make bench-snapshotter`; see go run ./e2e/bench/cmd --help and ./e2e/bench/snapshots/cmd --help.
BENCH_FLAGS ?=

# Of the command line: operating systems and architectures as Go names them, and where releases are downloaded from.
PLATFORMS ?= linux-amd64 linux-arm64 darwin-amd64 darwin-arm64
RELEASES ?= https://github.com/snapshot-group/snapshot-group/releases/download

CHART := charts/snapshot-group
HELM := bin/helm
LINT := bin/golangci-lint
UNITTEST := bin/helm-unittest
UNIT = $(shell go list ./... | grep -v /e2e)

##@ Look
.PHONY: demo
demo: ## The main job on a cluster of its own, step by step. KEEP=1 leaves the cluster up.
	go run ./e2e/demo

.PHONY: up
up: ## Starts a cluster in .cluster; CLUSTER_FLAGS='--tier node' for one that runs Pods.
	go run ./e2e/cluster/cmd up --dir $(CLUSTER_DIR) $(CLUSTER_FLAGS)

.PHONY: down
down: ## Stops the cluster of make up and removes what it left.
	go run ./e2e/cluster/cmd down --dir $(CLUSTER_DIR)

##@ Build
.PHONY: build
build: ## The commands, into bin/.
	CGO_ENABLED=0 go build -trimpath -ldflags "-s -w -X main.version=$(VERSION)" -o bin/ ./cmd/...

.PHONY: image
image: ## The container image as a tarball in dist/, without a Docker daemon. VERSION and ARCH choose.
	go run ./build/image/cmd --version $(VERSION) --ref snapshot-group:$(VERSION) --arch $(ARCH) \
		--output dist/snapshot-group-$(VERSION)-$(ARCH).tar

.PHONY: krew
krew: ## The command line for krew: an archive for each of PLATFORMS and the manifest, in dist/krew/.
	rm -rf dist/krew && mkdir -p dist/krew
	{ cat build/krew/snapshot-group.yaml; echo '  version: v$(VERSION)'; echo '  platforms:'; } > dist/krew/snapshot-group.yaml
	for platform in $(PLATFORMS); do \
		os=$${platform%-*} arch=$${platform#*-} archive=kubectl-snapshot_group-$$platform.tar.gz; \
		GOOS=$$os GOARCH=$$arch CGO_ENABLED=0 go build -trimpath -ldflags "-s -w -X main.version=$(VERSION)" \
			-o dist/krew/$$platform/kubectl-snapshot_group ./cmd/kubectl-snapshot_group; \
		cp LICENSE dist/krew/$$platform/; \
		tar -C dist/krew/$$platform --owner=0 --group=0 -czf dist/krew/$$archive kubectl-snapshot_group LICENSE; \
		{ echo "  - selector: {matchLabels: {os: $$os, arch: $$arch}}"; echo "    uri: $(RELEASES)/v$(VERSION)/$$archive"; \
			echo "    sha256: $$(sha256sum dist/krew/$$archive | cut -d' ' -f1)"; echo '    bin: kubectl-snapshot_group'; } >> dist/krew/snapshot-group.yaml; \
		rm -r dist/krew/$$platform; \
	done

.PHONY: manifests
manifests: $(HELM) ## manifests/install.yaml, rendered from the chart.
	$(RENDER) > manifests/install.yaml

.PHONY: docs
docs: ## Tables of rules in docs/admission.md, from the rules; docs/commands.md, from the commands; schema and README of the chart, from its values.
	page="$$(go run ./docs/rules docs/admission.md)" && echo "$$page" > docs/admission.md
	page="$$(go run ./docs/commands)" && echo "$$page" > docs/commands.md
	schema="$$($(VALUES) schema ../$(CHART)/values.yaml)" && echo "$$schema" > $(CHART)/values.schema.json
	page="$$($(VALUES) readme ../$(CHART)/values.yaml ../$(CHART)/README.md)" && echo "$$page" > $(CHART)/README.md

.PHONY: components
components: ## The components of a test cluster, from their own modules: 15 minutes once, seconds when cached.
	go run ./e2e/cluster/cmd build

##@ Check
.PHONY: test
test: deps ## Everything: what the machine lacks, verify, unit tests, then csi-sanity and the rest on real clusters.
	$(MAKE) --no-print-directory verify
	$(MAKE) --no-print-directory unit
	$(MAKE) --no-print-directory e2e

.PHONY: verify
verify: $(LINT) $(HELM) $(UNITTEST) ## Lint, budgets, import directions, tidy modules, and that what is rendered from a source agrees with it.
	go run -C tools ./hygiene ..
	go test -C tools ./...
	go mod tidy -diff
	$(LINT) run
	cd tools && ../$(LINT) run --config ../.golangci.yaml
	for values in $(CHART)/ci/*-values.yaml; do $(HELM) lint --strict --quiet --values $$values $(CHART); done
	$(UNITTEST) --strict $(CHART)
	diff -u manifests/install.yaml <($(RENDER)) || { echo 'manifests/install.yaml is not what the chart renders: make manifests' >&2; exit 1; }
	diff -u $(CHART)/values.schema.json <($(VALUES) schema ../$(CHART)/values.yaml) || { echo 'values.schema.json is not what values.yaml says: make docs' >&2; exit 1; }
	diff -u $(CHART)/README.md <($(VALUES) readme ../$(CHART)/values.yaml ../$(CHART)/README.md) || { echo 'the README of the chart lacks what values.yaml says: make docs' >&2; exit 1; }
	diff -u docs/admission.md <(go run ./docs/rules docs/admission.md) || { echo 'docs/admission.md lacks what the rules say: make docs' >&2; exit 1; }
	diff -u docs/commands.md <(go run ./docs/commands) || { echo 'docs/commands.md is not what the commands say: make docs' >&2; exit 1; }

.PHONY: unit
unit: ## Unit tests, with the race detector.
	go test -race -shuffle=on $(UNIT)

.PHONY: fuzz
fuzz: ## Fuzzes the annotations' parser, the webhooks and the plans, FUZZ_TIME each (1m); a finding goes to testdata/fuzz and stays a test.
	go test -run '^$$' -fuzz '^FuzzParseSettings$$' -fuzztime $(FUZZ_TIME) ./pkg/group
	go test -run '^$$' -fuzz '^FuzzWebhooks$$' -fuzztime $(FUZZ_TIME) ./pkg/admit
	go test -run '^$$' -fuzz '^FuzzObjects$$' -fuzztime $(FUZZ_TIME) ./pkg/admit
	go test -run '^$$' -fuzz '^FuzzNext$$' -fuzztime $(FUZZ_TIME) ./pkg/snapshotter/plan
	go test -run '^$$' -fuzz '^FuzzHistories$$' -fuzztime $(FUZZ_TIME) ./pkg/snapshotter/plan/expire

.PHONY: e2e
e2e: components ## Tests on real clusters, several at once; csi-sanity against the test driver is one of them.
	go test $(E2E_FLAGS) -count=1 -timeout 60m ./e2e/... # what the tests build and run is not theirs in the eyes of the test cache

.PHONY: bench
bench: ## Benchmarks, in the form that benchstat reads.
	go test -run '^$$' -bench . -benchmem ./pkg/...

.PHONY: bench-admission
bench-admission: components ## What admission costs: claims with no webhook, an allow-all one and ours on a real cluster; then the handler alone.
	go run ./e2e/bench/cmd $(BENCH_FLAGS)
	go test -run '^$$' -bench . -benchmem ./pkg/admit/...

.PHONY: bench-snapshotter
bench-snapshotter: components ## What the loop costs: a bare VolumeGroupSnapshot and our runs side by side on a real cluster, then its requests and memory at rest.
	go run ./e2e/bench/snapshots/cmd $(BENCH_FLAGS)

.PHONY: deps
deps: ## Installs what tests need and the machine lacks: a C compiler for the race detector, buildah, skopeo, Prometheus and Alertmanager, packages of the node tier.
	@command -v gcc > /dev/null || { apt-get update && apt-get install --yes --no-install-recommends gcc libc6-dev; } || \
		{ echo 'no gcc, which go test -race needs, and it could not be installed: run as root, or install gcc and libc6-dev' >&2; exit 1; }
	@{ command -v buildah && command -v skopeo; } > /dev/null || [ "$$(id -u)" != 0 ] || { \
		apt-get update && apt-get install --yes --no-install-recommends buildah skopeo; } || \
		{ echo 'no buildah or no skopeo, which build and copy the image, and they could not be installed: install buildah 1.28 or later, and skopeo' >&2; exit 1; }
	@{ command -v promtool && { command -v prometheus-alertmanager || [ "$$(id -u)" != 0 ]; }; } > /dev/null || { \
		[ -e $(POLICY) ] || { trap 'rm -f $(POLICY)' EXIT; printf '#!/bin/sh\nexit 101\n' > $(POLICY); chmod +x $(POLICY); }; \
		apt-get update && apt-get install --yes --no-install-recommends prometheus prometheus-alertmanager; } || \
		{ echo 'no promtool or no Alertmanager, which test the alerts, and they could not be installed: run as root, or install Prometheus 2.42 or later' >&2; exit 1; }
	go run ./e2e/cluster/cmd deps

##@ Help
.PHONY: help
help: ## This list.
	@awk -F ':.*## ' '/^##@ /{printf "\n%s\n", substr($$0, 5)} /^[a-z0-9-]+:.*## /{printf "  %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

# What Debian asks before it starts the service of a package that it installs. Tests run Prometheus and Alertmanager themselves; services
# of theirs would hold the ports, and could not be started in a container.
POLICY = /usr/sbin/policy-rc.d

# The chart as kubectl applies it.
RENDER = { echo '\# Rendered from $(CHART) by make manifests. Do not edit.'; \
	$(HELM) template snapshot-group $(CHART) --namespace snapshot-group --skip-tests --values $(CHART)/ci/kubectl-values.yaml; }

# What is made of the chart's values.yaml.
VALUES = go run -C tools ./values

# Tools, pinned by modules of their own and kept out of the product's.
$(LINT): tools/go.mod tools/go.sum
	go build -C tools -o ../$@ github.com/golangci/golangci-lint/v2/cmd/golangci-lint

$(HELM): e2e/cluster/components/helm/go.mod e2e/cluster/components/helm/go.sum
	go build -C e2e/cluster/components/helm -o ../../../../$@ helm.sh/helm/v4/cmd/helm

$(UNITTEST): tools/helm-unittest/go.mod tools/helm-unittest/go.sum
	go build -C tools/helm-unittest -o ../../$@ github.com/helm-unittest/helm-unittest/cmd/helm-unittest
