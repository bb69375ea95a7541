# All tasks on this tree, each with a name: `make help`.
#
# The recipes are short on purpose: a task that needs more than a few lines is a script in hack/ that also runs without make.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

VERSION ?= $(shell git describe --tags --match 'v*' --dirty 2>/dev/null || echo v0.1.0-dev)
IMAGE ?= sftp-operator:dev
IMAGE_TAR ?= bin/image.tar
CHART := charts/sftp-operator

# What `make test` and `make e2e` run, and how: make test PKG=./sftpd/... TEST_FLAGS='-run TestJail -v'
PKG ?= ./...
TEST_FLAGS ?=
TEST_TIMEOUT ?= 30m
E2E_TIMEOUT ?= 40m
FUZZTIME ?= 15s

TOOL := hack/tools/run.sh
# The cluster creates bridges, mounts and cgroups. sudo would lose the path to Go and the location of its caches.
SUDO := $(if $(filter 0,$(shell id -u)),,sudo -E env "PATH=$$PATH")
NODE := bin/cluster

# `make bench QUICK=1 ONLY='raw|list'`
BENCH_FLAGS := $(if $(QUICK),-quick) $(if $(ONLY),-only '$(ONLY)') $(if $(PEERS),-peers '$(PEERS)') \
	$(if $(WRITE),-write) $(if $(AGAIN),-again) $(if $(PROFILE),-profile) $(if $(FEATURES),-features)

# Paths of this folder are kept out of compiled code, so that another clone of the same code can use Go's build cache. Debug
# information takes an eighth of the compiler's time, and the linker leaves it out of programs and tests. hack/cluster compiles
# Kubernetes with the same flags, and shares the packages that both need.
COMPILE := -trimpath -gcflags=all=-dwarf=false
export GOFLAGS := $(filter-out $(COMPILE),$(GOFLAGS)) $(COMPILE)
# Nothing here is C. One setting for everything except the race detector, so that nothing is compiled twice.
export CGO_ENABLED := 0

# For the scripts.
export VERSION IMAGE IMAGE_TAR CHART E2E_TIMEOUT FUZZTIME TEST_TIMEOUT

##@ Everyday

.PHONY: help
help: ## Show this list.
	@awk 'BEGIN { FS = ":.*##" } \
		/^##@/ { printf "\n\033[1m%s\033[0m\n", substr($$0, 5) } \
		/^[a-z0-9-]+:.*##/ { printf "  \033[36m%-14s\033[0m%s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: build
build: ## Build the operator, the daemon and the kubectl plug-in into bin/.
	@hack/go-build.sh "operator, daemon and plug-in" -ldflags '-s -w -X main.version=$(VERSION)' -o bin/ ./cmd/manager ./cmd/sftpd ./cmd/kubectl-sftp

.PHONY: generate
generate: ## Regenerate the generated files: deepcopy, CRDs, RBAC, the chart's copies, API and chart reference.
	@hack/generate.sh

.PHONY: format
format: ## Format the Go code.
	@$(TOOL) golangci-lint fmt ./...

.PHONY: demo
demo: ## Set everything up on this machine and show the main job, end to end (CLUSTER=current: on your cluster).
	@hack/demo.sh

.PHONY: try
try: ## Try only the daemon, in seconds, without a cluster.
	@hack/try.sh

##@ Checks

.PHONY: verify
verify: ## Check that generated files are current, modules tidy, scripts and manifests sound.
	@hack/verify.sh

.PHONY: lint
lint: ## Run go vet and the linters, for all code and for the API conventions.
	go vet ./...
	go vet -tags upgrade ./test/e2e
	$(TOOL) golangci-lint run ./...
	$(TOOL) golangci-lint run --config .golangci-kal.yml ./api/...
	cd hack/bench && go vet ./... && ../tools/run.sh golangci-lint run ./...
	cd hack/release/registry && go vet -tags cosign ./... && ../../tools/run.sh golangci-lint run ./...

.PHONY: test
test: packages bin/cluster ## Run the unit and API-server tests with the race detector, after setting up what they need.
	@hack/test.sh $(PKG) -- $(TEST_FLAGS)

.PHONY: test-oldest
test-oldest: bin/cluster ## Test the CRDs and their rules on the API server of the oldest supported Kubernetes.
	KUBEBUILDER_ASSETS="$$($(NODE) assets-oldest)" go test -count=1 -timeout $(TEST_TIMEOUT) $(TEST_FLAGS) ./test/cel

.PHONY: interop
interop: packages ## Run test/interop with the clients of the plain Debian release, then with all updates.
	@for packages in release newest; do \
		$(SUDO) hack/with-packages.sh $$packages go test -count 1 -timeout $(TEST_TIMEOUT) $(TEST_FLAGS) ./test/interop; \
	done

.PHONY: e2e
e2e: packages ## Run the end-to-end tests on a real Kubernetes node (KEEP_CLUSTER=1 leaves it running).
	@hack/e2e.sh -skip '^TestLongFault' $(TEST_FLAGS)

.PHONY: faults
faults: packages ## Run the fault tests on a real Kubernetes node, including the long ones that e2e leaves out.
	@hack/e2e.sh -run '^Test(Long)?Fault' $(TEST_FLAGS)

.PHONY: upgrade-test
upgrade-test: packages ## Upgrade from FROM (default: the previous tag) on a real node, with sessions and an upload in progress.
	@hack/upgrade.sh $(TEST_FLAGS)

.PHONY: fuzz
fuzz: ## Fuzz every parser for FUZZTIME each.
	@hack/fuzz.sh $(PKG)

.PHONY: mutate
mutate: ## Change the code of PKG (default: all code that makes decisions) in small ways and list what its tests do not notice.
	@go build -buildvcs=false -o bin/mutate ./hack/mutate # a new commit alone must not invalidate old results
	@bin/mutate $(MUTATE_FLAGS) $(filter-out ./...,$(PKG))

.PHONY: soak
soak: packages ## Move files, change users and kill pods for SOAK=30m on a real Kubernetes node.
	@SOAK="$${SOAK:-30m}" E2E_TIMEOUT="$${SOAK_TIMEOUT:-3h}" hack/e2e.sh -run '^TestSoak$$'

.PHONY: scale
scale: bin/cluster ## Measure many users and listeners on a real API server with simulated pods (QUICK=1, WRITE=1: docs/scale.md).
	go build -ldflags '-s -w -X main.version=$(VERSION)' -o bin/ ./cmd/manager ./cmd/sftpd
	go build -o bin/scale ./hack/scale
	@KUBEBUILDER_ASSETS="$$($(NODE) assets)" bin/scale $(if $(QUICK),-quick) $(if $(ONLY),-only '$(ONLY)') $(if $(USERS),-users $(USERS)) $(if $(LISTENERS),-listeners $(LISTENERS)) $(if $(WRITE),-write)

.PHONY: bench
bench: packages ## Measure the daemon against OpenSSH and PEERS (QUICK=1, ONLY=regexp, AGAIN=1, PROFILE=1, FEATURES=1: docs/performance.md).
	go build -ldflags '-s -w -X main.version=$(VERSION)' -o bin/ ./cmd/sftpd
	go build -C hack/bench -o ../../bin/ ./...
	@newer="$$(hack/bench/openssh.sh)" && $(SUDO) bin/bench -openssh "$$newer" $(BENCH_FLAGS)

##@ A cluster on this machine

.PHONY: cluster-up
cluster-up: bin/cluster ## Start a Kubernetes node unless it is running (PARTS=basic: without DNS and NetworkPolicies).
	@$(NODE) build $(PARTS) # by the caller, so that sudo leaves no root-owned caches
	@$(SUDO) $(NODE) up $(PARTS)

.PHONY: cluster-down
cluster-down: bin/cluster ## Stop it and remove everything it left behind.
	@$(SUDO) $(NODE) down

.PHONY: cluster-test
cluster-test: packages ## Check that the node leaves nothing behind, even after a crash or an interruption.
	@$(SUDO) hack/cluster/down_test.sh

.PHONY: cluster-load
cluster-load: bin/cluster image ## Build the image and load it into the cluster.
	@$(SUDO) $(NODE) load $(IMAGE_TAR)

.PHONY: kubeconfig
kubeconfig: bin/cluster ## Print where the cluster's kubeconfig is.
	@$(NODE) kubeconfig

.PHONY: image
image: build ## Build the container image, without a container engine.
	go run ./hack/image -o $(IMAGE_TAR) -tag $(IMAGE) -bin manager=bin/manager -bin sftpd=bin/sftpd

# Always run: Go knows better than a timestamp whether it is current.
.PHONY: bin/cluster
bin/cluster:
	@go build -o $@ ./hack/cluster

##@ A release

.PHONY: release
release: ## Build a whole release into dist/: make release VERSION=v0.1.0 (KEY=file signs it; registry key FILE makes one).
	go run ./hack/release -version $(VERSION) -o dist
	$(if $(KEY),go -C hack/release/registry run . sign $(CURDIR)/dist $(abspath $(KEY)))

.PHONY: release-node
release-node: packages ## Install a release on a real Kubernetes node from a registry, by digest, signature verified first.
	@hack/release/node.sh

.PHONY: release-check
release-check: ## Check that two builds are equal, and that content changed in a registry on loopback is refused.
	@hack/release/check.sh

.PHONY: site
site: ## Build the documentation into bin/site, as static pages, and check its links.
	@hack/site/build.sh

##@ Housekeeping

.PHONY: packages
packages: ## Install the Debian packages that are missing.
	@hack/install-packages.sh

.PHONY: tools
tools: ## Build the pinned developer tools into the cache.
	@$(TOOL) --build-all

.PHONY: clean
clean: ## Remove what was built here. Caches outside the tree stay.
	rm -rf bin out dist coverage.*
