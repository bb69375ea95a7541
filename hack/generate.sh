#!/usr/bin/env bash
# Writes every generated file anew. What they come from: the types and markers of api/, the RBAC markers of
# controllers/, the comments of the chart's values.yaml. `make verify` says when one is stale.
set -euo pipefail
cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.."

tool=hack/tools/run.sh
chart="${CHART:-charts/sftp-operator}"

# The formats of api/v1alpha1/formats.go are aliases. The generator of DeepCopy does not know these as values of maps, and
# crd-ref-docs links to sections that it does not write for them: with this setting the type checker resolves them.
GODEBUG=gotypesalias=0 "$tool" controller-gen object paths=./api/...

# Emptied first: the CRD of a kind that is gone must go, too.
rm -rf config/crd/bases
"$tool" controller-gen crd paths=./api/... output:crd:dir=config/crd/bases
"$tool" controller-gen rbac:roleName=manager-role paths=./controllers/... output:rbac:dir=config/rbac

# The chart's templates read these with .Files, so kustomize and Helm install the same thing.
rm -rf "$chart/files/crds"
mkdir -p "$chart/files/crds" docs
cp config/crd/bases/*.yaml "$chart/files/crds/"
cp config/rbac/role.yaml "$chart/files/manager-role.yaml"
cp config/prometheus/prometheus_rule.yaml "$chart/files/prometheus-rule.yaml"
cp config/prometheus/dashboard.json "$chart/files/dashboard.json"

GODEBUG=gotypesalias=0 "$tool" crd-ref-docs --log-level=ERROR --renderer=markdown --config=hack/tools/crd-ref-docs.yaml \
	--source-path=api --output-path=docs/api.md
"$tool" helm-docs --log-level=warning --chart-search-root="$chart" --sort-values-order=file
