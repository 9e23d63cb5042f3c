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
app.kubernetes.io/name: {{ include "snapshot-group.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- /* The labels of every object. */ -}}
{{- define "snapshot-group.labels" -}}
{{ include "snapshot-group.selectorLabels" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
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
      - {{ .Release.Namespace }}
{{- end }}

{{- /* Where the API server calls a webhook: (list $ "/path"). */ -}}
{{- define "snapshot-group.clientConfig" -}}
service:
  name: {{ include "snapshot-group.fullname" (first .) }}-webhook
  namespace: {{ (first .).Release.Namespace }}
  port: 443
  path: {{ last . }}
{{- end }}

{{- /* The subject of every binding: both containers share the Pod's ServiceAccount. */ -}}
{{- define "snapshot-group.subjects" -}}
- kind: ServiceAccount
  name: {{ include "snapshot-group.fullname" . }}
  namespace: {{ .Release.Namespace }}
{{- end }}
