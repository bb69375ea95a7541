{{/* The base of the objects' names. */}}
{{- define "sftp-operator.fullname" -}}
{{- $name := .Values.nameOverride | default "sftp-operator" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 50 | trimSuffix "-" -}}
{{- else if contains $name .Release.Name -}}
{{- .Release.Name | trunc 50 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name $name | trunc 50 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{/* The namespace of the namespaced objects. */}}
{{- define "sftp-operator.namespace" -}}
{{- .Values.namespaceOverride | default .Release.Namespace -}}
{{- end -}}

{{/* Annotations of an object. Call with a list: the root, its own annotations, which win. */}}
{{- define "sftp-operator.annotations" -}}
{{- $root := index . 0 -}}
{{- with mergeOverwrite (deepCopy $root.Values.commonAnnotations) (index . 1 | default dict) -}}
annotations:
  {{- toYaml . | nindent 2 }}
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

{{/* The operator's image. A registry takes the place of the one in the repository: a first part with a dot or a port. */}}
{{- define "sftp-operator.image" -}}
{{- $repository := .Values.image.repository -}}
{{- with .Values.image.registry | default .Values.global.imageRegistry -}}
{{- $repository = printf "%s/%s" . (regexReplaceAll "^[^/]*[.:][^/]*/" $repository "") -}}
{{- end -}}
{{- if .Values.image.digest -}}
{{- printf "%s@%s" $repository .Values.image.digest -}}
{{- else -}}
{{- printf "%s:%s" $repository (.Values.image.tag | default .Chart.AppVersion) -}}
{{- end -}}
{{- end -}}

{{- define "sftp-operator.imagePullSecrets" -}}
{{- with concat .Values.global.imagePullSecrets .Values.imagePullSecrets | uniq -}}
imagePullSecrets:
{{- toYaml . | nindent 0 }}
{{- end -}}
{{- end -}}

{{/* Not empty if the platform chooses the IDs of users and groups, as OpenShift does. */}}
{{- define "sftp-operator.platformIDs" -}}
{{- $mode := .Values.adaptSecurityContext -}}
{{- if or (eq $mode "force") (and (eq $mode "auto") (.Capabilities.APIVersions.Has "security.openshift.io/v1")) -}}
true
{{- end -}}
{{- end -}}

{{/* Defaults and bounds of listeners, "" without any. */}}
{{- define "sftp-operator.platformPolicy" -}}
{{- $defaults := deepCopy .Values.listeners.defaults -}}
{{- if and (include "sftp-operator.platformIDs" .) (not $defaults.fsGroupPolicy) -}}
{{- $_ := set $defaults "fsGroupPolicy" "Platform" -}}
{{- end -}}
{{- $policy := dict -}}
{{- with $defaults -}}{{- $_ := set $policy "defaults" . -}}{{- end -}}
{{- with .Values.listeners.bounds -}}{{- $_ := set $policy "bounds" . -}}{{- end -}}
{{- with $policy -}}{{- toYaml . -}}{{- end -}}
{{- end -}}

{{/* A security context without what OpenShift chooses itself. Call with a list: the root, the context. */}}
{{- define "sftp-operator.securityContext" -}}
{{- $root := index . 0 -}}
{{- $context := index . 1 -}}
{{- if include "sftp-operator.platformIDs" $root -}}
{{- $context = omit $context "runAsUser" "runAsGroup" "fsGroup" -}}
{{- end -}}
{{- toYaml $context -}}
{{- end -}}

{{/* Where `helm test` puts its endpoint and pod: a namespace that the operator works in. */}}
{{- define "sftp-operator.testNamespace" -}}
{{- $own := include "sftp-operator.namespace" . -}}
{{- if and .Values.scopedNamespaces (not (has $own .Values.scopedNamespaces)) -}}
{{- first .Values.scopedNamespaces -}}
{{- else -}}
{{- $own -}}
{{- end -}}
{{- end -}}

{{/* Name of everything that `helm test` creates. Names of listeners have at most 40 characters and start with a letter. */}}
{{- define "sftp-operator.testName" -}}
{{- printf "test-%s" (include "sftp-operator.fullname" .) | trunc 40 | trimSuffix "-" -}}
{{- end -}}
