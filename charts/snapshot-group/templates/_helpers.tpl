{{- /* The name of the product in labels. */ -}}
{{- define "snapshot-group.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 50 | trimSuffix "-" }}
{{- end }}

{{- /* The name of every object, at most 50 characters, so that "-webhook-ca" and the like still fit a DNS label. */ -}}
{{- define "snapshot-group.fullname" -}}
{{- $name := include "snapshot-group.name" . }}
{{- if .Values.fullnameOverride }}
{{- .Values.fullnameOverride | trunc 50 | trimSuffix "-" }}
{{- else if contains $name .Release.Name }}
{{- .Release.Name | trunc 50 | trimSuffix "-" }}
{{- else }}
{{- printf "%s-%s" .Release.Name $name | trunc 50 | trimSuffix "-" }}
{{- end }}
{{- end }}

{{- /* The labels that select the Pods. They never change: a Deployment's selector is immutable. */ -}}
{{- define "snapshot-group.selectorLabels" -}}
app.kubernetes.io/name: {{ include "snapshot-group.name" . | quote }}
app.kubernetes.io/instance: {{ .Release.Name | quote }}
{{- end }}

{{- /* Labels and annotations of an object: (dict "root" $), with "labels" and "annotations" of its own where it has some. What the
chart says of itself wins, then the object's own, then what commonLabels and commonAnnotations say. */ -}}
{{- define "snapshot-group.metadata" -}}
{{- $of := dict
  "app.kubernetes.io/version" .root.Chart.AppVersion
  "app.kubernetes.io/managed-by" .root.Release.Service
  "helm.sh/chart" (printf "%s-%s" .root.Chart.Name .root.Chart.Version | replace "+" "_") }}
{{- $selected := include "snapshot-group.selectorLabels" .root | fromYaml -}}
labels:
  {{- toYaml (merge $of $selected (.labels | default dict) .root.Values.commonLabels) | nindent 2 }}
{{- with merge dict (.annotations | default dict) .root.Values.commonAnnotations }}
annotations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}

{{- /* The image of both containers. */ -}}
{{- define "snapshot-group.image" -}}
{{- with .Values.image }}
{{- if .digest }}{{ .repository }}@{{ .digest }}{{ else }}{{ .repository }}:{{ .tag | default $.Chart.AppVersion }}{{ end }}
{{- end }}
{{- end }}

{{- /* What a container may do: nothing but compute. */ -}}
{{- define "snapshot-group.containerSecurityContext" -}}
allowPrivilegeEscalation: false
capabilities:
  drop: [ALL]
readOnlyRootFilesystem: true
{{- end }}

{{- /* The Namespaces whose objects reach the webhooks: those that opted in, but never the cluster's own or ours, where a
webhook that is down could keep itself down. */ -}}
{{- define "snapshot-group.namespaceSelector" -}}
matchLabels:
  snapshot-group: enabled
matchExpressions:
  - key: kubernetes.io/metadata.name
    operator: NotIn
    values:
      - kube-system
      - {{ .Release.Namespace | quote }}
{{- end }}

{{- /* Where the API server calls a webhook: (list $ "/path"). */ -}}
{{- define "snapshot-group.clientConfig" -}}
service:
  name: {{ include "snapshot-group.fullname" (first .) }}-webhook
  namespace: {{ (first .).Release.Namespace | quote }}
  port: 443
  path: {{ last . }}
{{- end }}

{{- /* The subject of every binding: both containers share the Pod's ServiceAccount. */ -}}
{{- define "snapshot-group.subjects" -}}
- kind: ServiceAccount
  name: {{ include "snapshot-group.fullname" . | quote }}
  namespace: {{ .Release.Namespace | quote }}
{{- end }}

{{- /* In CEL: a restore makes the object, Velero's or ours. */ -}}
{{- define "snapshot-group.restored" -}}
has(object.metadata.labels) && ['velero.io/restore-name', 'snapshot-group/restore'].exists(l, l in object.metadata.labels)
{{- end }}

{{- /* What becomes of a request that no webhook answers, and how long the API server waits for the answer: (list $ "claims"). */ -}}
{{- define "snapshot-group.policy" -}}
{{- $policy := get (first .).Values.webhooks (last .) -}}
failurePolicy: {{ $policy.failurePolicy }}
timeoutSeconds: {{ $policy.timeoutSeconds }}
{{- end }}

{{- /* What no schema can say of values: it compares none with another. */ -}}
{{- define "snapshot-group.validate" -}}
{{- $ports := dict }}
{{- range $value := list "webhook.port" "webhook.metricsPort" "webhook.healthPort" "snapshotter.metricsPort" "snapshotter.healthPort" }}
{{- $path := splitList "." $value }}
{{- $port := get (get $.Values (first $path)) (last $path) | int | toString }}
{{- with get $ports $port }}
{{- fail (printf "%s and %s are both %s: the containers of a Pod share its ports, give each another" . $value $port) }}
{{- end }}
{{- $_ := set $ports $port $value }}
{{- end }}
{{- if ge (int .Values.webhook.drainSeconds) (int .Values.terminationGracePeriodSeconds) }}
{{- fail (printf "webhook.drainSeconds is %d and terminationGracePeriodSeconds %d: a Pod would be killed before it has stopped to answer, make the latter the larger" (int .Values.webhook.drainSeconds) (int .Values.terminationGracePeriodSeconds)) }}
{{- end }}
{{- include "snapshot-group.validateCertificates" . }}
{{- end }}

{{- /* The whole seconds of a duration such as 1h30m. */ -}}
{{- define "snapshot-group.seconds" -}}
{{- toDate "2006-01-02" "1970-01-01" | mustDateModify (printf "+%s" .) | unixEpoch }}
{{- end }}

{{- /* The certificates that the webhook or cert-manager makes, of which each has a least lifetime. */ -}}
{{- define "snapshot-group.validateCertificates" -}}
{{- $source := .Values.certs.source }}
{{- $issuer := .Values.certs.certManager.issuerRef }}
{{- $ca := include "snapshot-group.seconds" .Values.webhook.caDuration | int64 }}
{{- $leaf := include "snapshot-group.seconds" .Values.webhook.certificateDuration | int64 }}
{{- $least := get (dict "self-signed" "1m" "cert-manager" "1h") $source }}
{{- if and $least (lt $leaf (include "snapshot-group.seconds" $least | int64)) }}
{{- fail (printf "webhook.certificateDuration is %s: with certs.source=%s it must be at least %s" .Values.webhook.certificateDuration $source $least) }}
{{- end }}
{{- if and $least (not $issuer) (lt $ca (mul 3 $leaf)) }}
{{- fail (printf "webhook.caDuration is %s and webhook.certificateDuration %s: the authority must be valid for at least 3 times as long" .Values.webhook.caDuration .Values.webhook.certificateDuration) }}
{{- end }}
{{- if and $issuer (not $issuer.name) }}
{{- fail "certs.certManager.issuerRef.name is required where certs.certManager.issuerRef has anything else: the name of your issuer" }}
{{- end }}
{{- end }}

{{- /* The Secret that the serving certificate is mounted from; empty with self-signed, which has it in memory. */ -}}
{{- define "snapshot-group.certificateSecret" -}}
{{- if eq .Values.certs.source "cert-manager" -}}
{{ include "snapshot-group.fullname" . }}-webhook-tls
{{- else if eq .Values.certs.source "secret" -}}
{{ required "certs.secret.name is required with certs.source=secret: the name of your Secret" .Values.certs.secret.name }}
{{- end }}
{{- end }}

{{- /* The Secret whose ca.crt the webhook writes into its configurations; empty with cert-manager, whose cainjector does that. */ -}}
{{- define "snapshot-group.caSecret" -}}
{{- if eq .Values.certs.source "self-signed" -}}
{{ include "snapshot-group.fullname" . }}-webhook-ca
{{- else if eq .Values.certs.source "secret" -}}
{{ include "snapshot-group.certificateSecret" . }}
{{- end }}
{{- end }}

{{- /* What tells cert-manager, and kubectl snapshot-group check, where the authority of the configurations is. */ -}}
{{- define "snapshot-group.caAnnotations" -}}
{{- if eq .Values.certs.source "cert-manager" -}}
cert-manager.io/inject-ca-from: {{ .Release.Namespace }}/{{ include "snapshot-group.fullname" . }}-webhook
{{- else if eq .Values.certs.source "secret" -}}
snapshot-group/certificate-secret: {{ printf "%s/%s" .Release.Namespace (include "snapshot-group.certificateSecret" .) | quote }}
{{- end }}
{{- end }}
