#!/usr/bin/env bash
# Regenerates every generated file, from the types and markers of api/, the RBAC markers of controllers/, the comments of the
# chart's values.yaml. `make verify` fails if one is stale.
set -euo pipefail
cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.."

tool=hack/tools/run.sh
chart="${CHART:-charts/sftp-operator}"

# The formats of api/v1alpha1/formats.go are aliases. The DeepCopy generator does not recognize these as map values, and
# crd-ref-docs links to sections that it does not write for them: with this setting the type checker resolves them.
GODEBUG=gotypesalias=0 "$tool" controller-gen object paths=./api/...

# Emptied first: the CRD of a removed kind must disappear as well.
rm -rf config/crd/bases
"$tool" controller-gen crd paths=./api/... output:crd:dir=config/crd/bases
# Rules that use metadata.name are refused by API servers before 1.37 unless the schema bounds the name: they estimate the cost of
# a rule from the largest possible values.
sed -i '/^          metadata:$/{n;s/^            type: object$/            properties:\
              generateName: {maxLength: 253, type: string}\
              name: {maxLength: 253, type: string}\
            type: object/}' config/crd/bases/*.yaml
"$tool" controller-gen rbac:roleName=manager-role paths=./controllers/... output:rbac:dir=config/rbac

# The chart's templates read these with .Files, so kustomize and Helm install the same manifests.
rm -rf "$chart/files/crds"
mkdir -p "$chart/files/crds" docs
cp config/crd/bases/*.yaml "$chart/files/crds/"
cp config/rbac/role.yaml "$chart/files/manager-role.yaml"
cp config/prometheus/prometheus_rule.yaml "$chart/files/prometheus-rule.yaml"
cp config/prometheus/dashboard.json "$chart/files/dashboard.json"

GODEBUG=gotypesalias=0 "$tool" crd-ref-docs --log-level=ERROR --renderer=markdown --config=hack/tools/crd-ref-docs.yaml \
	--source-path=api --output-path=docs/api.md
"$tool" helm-docs --log-level=warning --chart-search-root="$chart" --sort-values-order=file
