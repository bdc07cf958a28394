{{/* The names of objects. Every name leaves room for the longest suffix that Kubernetes adds. */}}

{{- define "order-service.name" -}}
{{- default .Chart.Name .Values.nameOverride }}
{{- end }}

{{- define "order-service.fullname" -}}
{{- $name := default .Chart.Name .Values.nameOverride }}
{{- $full := contains $name .Release.Name | ternary .Release.Name (printf "%s-%s" .Release.Name $name) }}
{{- include "order-service.hostName" (default $full .Values.fullnameOverride) }}
{{- end }}

{{/* A valid host name of up to 40 characters. A name that must be changed gets its hash as suffix, so that all stay distinct. */}}
{{- define "order-service.hostName" -}}
{{- $name := replace "." "-" . }}
{{- if and (eq $name .) (le (len $name) 40) -}}
{{ $name }}
{{- else -}}
{{ trunc 31 $name }}-{{ sha256sum . | trunc 8 }}
{{- end }}
{{- end }}

{{- define "order-service.serviceName" -}}
{{- default (include "order-service.fullname" .) .Values.service.name }}
{{- end }}

{{- define "order-service.mongodb.fullname" -}}
{{ include "order-service.fullname" . }}-mongodb
{{- end }}

{{- define "order-service.mongodb.serviceName" -}}
{{- default (include "order-service.mongodb.fullname" .) .Values.mongodb.service.name }}
{{- end }}

{{- define "order-service.mongodb.headlessName" -}}
{{ include "order-service.mongodb.fullname" . }}-members
{{- end }}

{{- define "order-service.nats.fullname" -}}
{{ include "order-service.fullname" . }}-nats
{{- end }}

{{- define "order-service.nats.serviceName" -}}
{{- default (include "order-service.nats.fullname" .) .Values.nats.service.name }}
{{- end }}

{{- define "order-service.serviceAccountName" -}}
{{- if .Values.serviceAccount.create }}
{{- default (include "order-service.fullname" .) .Values.serviceAccount.name }}
{{- else }}
{{- default "default" .Values.serviceAccount.name }}
{{- end }}
{{- end }}

{{/* Selectors must never change: a Deployment or StatefulSet refuses that. Takes (dict "context" $ "component" "api"). */}}
{{- define "order-service.selector" -}}
app.kubernetes.io/name: {{ include "order-service.name" .context | quote }}
app.kubernetes.io/instance: {{ .context.Release.Name | quote }}
app.kubernetes.io/component: {{ .component }}
{{- end }}

{{- define "order-service.labels" -}}
{{- $own := include "order-service.selector" . | fromYaml }}
{{- $standard := dict
  "app.kubernetes.io/version" (.context.Chart.AppVersion | toString)
  "app.kubernetes.io/part-of" "ticketing"
  "app.kubernetes.io/managed-by" .context.Release.Service
  "helm.sh/chart" (printf "%s-%s" .context.Chart.Name (.context.Chart.Version | replace "+" "_"))
}}
{{- merge $own $standard .context.Values.commonLabels | toYaml }}
{{- end }}

{{/* Labels of a pod: selector labels win over the given ones. Also takes "labels". */}}
{{- define "order-service.podLabels" -}}
{{- merge (include "order-service.selector" . | fromYaml) .labels .context.Values.commonLabels | toYaml }}
{{- end }}

{{/* The metadata of an object. Takes (dict "context" $ "component" "api" "name" NAME "annotations" MAP). */}}
{{- define "order-service.metadata" -}}
{{ dict "name" .name "namespace" .context.Release.Namespace | toYaml }}
labels:
  {{- include "order-service.labels" . | nindent 2 }}
{{- with merge (dict) (default (dict) .annotations) .context.Values.commonAnnotations }}
annotations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}

{{/* REPOSITORY@DIGEST or REPOSITORY:TAG. Takes (dict "image" MAP "tag" DEFAULT). */}}
{{- define "order-service.image" -}}
{{- if .image.digest -}}
{{ .image.repository }}@{{ .image.digest }}
{{- else -}}
{{ .image.repository }}:{{ default .tag .image.tag }}
{{- end }}
{{- end }}
