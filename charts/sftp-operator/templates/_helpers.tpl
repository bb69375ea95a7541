{{/* The name that objects are called after. */}}
{{- define "sftp-operator.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 50 | trimSuffix "-" -}}
{{- else if contains "sftp-operator" .Release.Name -}}
{{- .Release.Name | trunc 50 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-sftp-operator" .Release.Name | trunc 50 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{- define "sftp-operator.serviceAccountName" -}}
{{- if .Values.serviceAccount.create -}}
{{- .Values.serviceAccount.name | default (include "sftp-operator.fullname" .) -}}
{{- else -}}
{{- .Values.serviceAccount.name | default "default" -}}
{{- end -}}
{{- end -}}

{{/* What selects the operator's pods. The NetworkPolicies of listeners look for name and component, so these two
are not for changing. */}}
{{- define "sftp-operator.selectorLabels" -}}
app.kubernetes.io/name: sftp-operator
app.kubernetes.io/component: manager
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{/* Labels of every object. Those of the chart win over commonLabels: selectors rely on them. */}}
{{- define "sftp-operator.labels" -}}
{{- $own := dict
  "app.kubernetes.io/name" "sftp-operator"
  "app.kubernetes.io/instance" .Release.Name
  "app.kubernetes.io/version" .Chart.AppVersion
  "app.kubernetes.io/managed-by" .Release.Service
  "app.kubernetes.io/part-of" "sftp-operator"
  "helm.sh/chart" (printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_") -}}
{{- toYaml (mergeOverwrite (deepCopy .Values.commonLabels) $own) -}}
{{- end -}}

{{- define "sftp-operator.image" -}}
{{- if .Values.image.digest -}}
{{- printf "%s@%s" .Values.image.repository .Values.image.digest -}}
{{- else -}}
{{- printf "%s:%s" .Values.image.repository (.Values.image.tag | default .Chart.AppVersion) -}}
{{- end -}}
{{- end -}}

{{- define "sftp-operator.imagePullSecrets" -}}
{{- with concat .Values.global.imagePullSecrets .Values.imagePullSecrets | uniq -}}
imagePullSecrets:
{{- toYaml . | nindent 0 }}
{{- end -}}
{{- end -}}

{{/* A security context without what OpenShift chooses itself. Call with a list: the root, the context. */}}
{{- define "sftp-operator.securityContext" -}}
{{- $root := index . 0 -}}
{{- $context := index . 1 -}}
{{- $mode := $root.Values.adaptSecurityContext -}}
{{- if or (eq $mode "force") (and (eq $mode "auto") ($root.Capabilities.APIVersions.Has "security.openshift.io/v1")) -}}
{{- $context = omit $context "runAsUser" "runAsGroup" "fsGroup" -}}
{{- end -}}
{{- toYaml $context -}}
{{- end -}}

{{/* Where `helm test` puts its endpoint and pod: a namespace that the operator works in. */}}
{{- define "sftp-operator.testNamespace" -}}
{{- if and .Values.scopedNamespaces (not (has .Release.Namespace .Values.scopedNamespaces)) -}}
{{- first .Values.scopedNamespaces -}}
{{- else -}}
{{- .Release.Namespace -}}
{{- end -}}
{{- end -}}

{{/* Name of everything that `helm test` makes. Names of listeners are at most 40 long and start with a letter. */}}
{{- define "sftp-operator.testName" -}}
{{- printf "test-%s" (include "sftp-operator.fullname" .) | trunc 40 | trimSuffix "-" -}}
{{- end -}}
