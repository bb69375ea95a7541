#!/usr/bin/env bash
# Do the chart and the kustomization build?
set -euo pipefail
cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.."
source hack/checks.sh

tool=hack/tools/run.sh
chart="${CHART:-charts/sftp-operator}"

[[ -f $chart/Chart.yaml ]] || missing "$chart"
# Helm is verbose even on success.
if ! said="$("$tool" helm lint --strict --quiet "$chart" 2>&1)"; then
	echo "$said" >&2
	exit 1
fi
# A helm that was not built by its own project does not know its Kubernetes version.
"$tool" helm template sftp-operator "$chart" --namespace sftp-operator-system --kube-version 1.34.0 >/dev/null

[[ -f config/default/kustomization.yaml ]] || missing config/default
"$tool" kustomize build config/default >/dev/null
"$tool" kustomize build config/prometheus >/dev/null
