{{/* What the service is told, and what is computed for it. */}}

{{/* YAML reads large numbers as floats, which would be written as 1e+09. */}}
{{- define "order-service.scalar" -}}
{{- if kindIs "float64" . }}{{ int64 . }}{{ else }}{{ . }}{{ end }}
{{- end }}

{{- define "order-service.configData" -}}
NODE_ENV: {{ .Values.nodeEnv | quote }}
PORT: "3000"
{{- range $name, $value := .Values.settings }}
{{ $name }}: {{ include "order-service.scalar" $value | quote }}
{{- end }}
{{- if .Values.mongodb.enabled }}
MONGO_URL: {{ include "order-service.mongodb.url" . | quote }}
{{- end }}
{{- if .Values.nats.enabled }}
NATS_URL: nats://{{ include "order-service.nats.serviceName" . }}:4222
{{- end }}
{{- end }}

{{/* Without credentials: those come from the secret. */}}
{{- define "order-service.mongodb.url" -}}
{{- $database := .Values.mongodb.database }}
{{- if eq (int .Values.mongodb.replicas) 1 -}}
mongodb://{{ include "order-service.mongodb.serviceName" . }}:27017/{{ $database }}?authSource={{ $database }}
{{- else -}}
mongodb://{{ include "order-service.mongodb.members" . }}/{{ $database }}?authSource={{ $database }}&replicaSet=rs0
{{- end }}
{{- end }}

{{/* HOST:PORT of each member, by the names that they know each other by. */}}
{{- define "order-service.mongodb.members" -}}
{{- $members := list }}
{{- range $ordinal := until (int .Values.mongodb.replicas) }}
{{- $pod := printf "%s-%d" (include "order-service.mongodb.fullname" $) $ordinal }}
{{- $members = append $members (printf "%s.%s.%s.svc:27017" $pod (include "order-service.mongodb.headlessName" $) $.Release.Namespace) }}
{{- end }}
{{- join "," $members }}
{{- end }}

{{- define "order-service.jwtSecretName" -}}
{{- default (include "order-service.fullname" .) .Values.auth.existingSecret }}
{{- end }}

{{- define "order-service.jwtSecretKey" -}}
{{- if .Values.auth.existingSecret }}{{ .Values.auth.existingSecretKey }}{{ else }}JWT_KEY{{ end }}
{{- end }}

{{- define "order-service.externalSecretName" -}}
{{ include "order-service.fullname" . }}-external
{{- end }}

{{- define "order-service.mongodb.secretName" -}}
{{- default (include "order-service.mongodb.fullname" .) .Values.mongodb.auth.existingSecret }}
{{- end }}

{{/*
A secret value: as given, else as it is in the cluster, else a random one. It is asked for more than once in a
rendering, by the secret and by the checksum of it, and must be the same each time: so it is remembered in "values".
Takes (dict "context" $ "values" MAP "field" NAME "secret" NAME "key" NAME).
*/}}
{{- define "order-service.secretValue" -}}
{{- if not (index .values .field) }}
{{- $existing := dig "data" .key "" (lookup "v1" "Secret" .context.Release.Namespace .secret | default dict) }}
{{- $_ := set .values .field ($existing | b64dec | default (randAlphaNum 48)) }}
{{- end }}
{{- index .values .field }}
{{- end }}

{{- define "order-service.jwtSecretData" -}}
JWT_KEY: {{ include "order-service.secretValue" (dict "context" . "values" .Values.auth "field" "jwtKey" "secret" (include "order-service.fullname" .) "key" "JWT_KEY") | b64enc }}
{{- with .Values.auth.jwtKeyPrevious }}
JWT_KEY_PREVIOUS: {{ b64enc . }}
{{- end }}
{{- end }}

{{- define "order-service.mongodb.secretData" -}}
{{- $fields := dict "rootPassword" "MONGO_ROOT_PASSWORD" "password" "MONGO_PASSWORD" }}
{{- if gt (int .Values.mongodb.replicas) 1 }}{{ $_ := set $fields "replicaSetKey" "MONGO_REPLICA_SET_KEY" }}{{ end }}
{{- $data := dict }}
{{- range $field, $key := $fields }}
{{- $value := include "order-service.secretValue" (dict "context" $ "values" $.Values.mongodb.auth "field" $field "secret" (include "order-service.mongodb.fullname" $) "key" $key) }}
{{- $_ := set $data $key (b64enc $value) }}
{{- end }}
{{- toYaml $data }}
{{- end }}

{{- define "order-service.externalSecretData" -}}
{{- $data := dict }}
{{- with .Values.externalMongodb.url }}{{ $_ := set $data "MONGO_URL" (b64enc .) }}{{ end }}
{{- with .Values.externalNats.url }}{{ $_ := set $data "NATS_URL" (b64enc .) }}{{ end }}
{{- with $data }}{{ toYaml . }}{{ end }}
{{- end }}

{{/* Credentials and identity; the rest comes from the ConfigMap. */}}
{{- define "order-service.env" -}}
{{ include "order-service.jwtKeyEnv" . }}
- name: JWT_KEY_PREVIOUS
  valueFrom:
    secretKeyRef:
      name: {{ include "order-service.jwtSecretName" . }}
      key: JWT_KEY_PREVIOUS
      optional: true
{{- if .Values.mongodb.enabled }}
{{ include "order-service.mongodb.userEnv" . }}
{{- else }}
- name: MONGO_URL
  valueFrom:
    secretKeyRef:
      {{- if .Values.externalMongodb.existingSecret }}
      name: {{ .Values.externalMongodb.existingSecret }}
      key: {{ .Values.externalMongodb.existingSecretKey }}
      {{- else }}
      name: {{ include "order-service.externalSecretName" . }}
      key: MONGO_URL
      {{- end }}
{{- end }}
{{- if not .Values.nats.enabled }}
{{ include "order-service.externalNatsEnv" . }}
{{- end }}
{{- end }}

{{- define "order-service.jwtKeyEnv" -}}
- name: JWT_KEY
  valueFrom:
    secretKeyRef:
      name: {{ include "order-service.jwtSecretName" . }}
      key: {{ include "order-service.jwtSecretKey" . }}
{{- end }}

{{- define "order-service.externalNatsEnv" -}}
- name: NATS_URL
  valueFrom:
    secretKeyRef:
      {{- if .Values.externalNats.existingSecret }}
      name: {{ .Values.externalNats.existingSecret }}
      key: {{ .Values.externalNats.existingSecretKey }}
      {{- else }}
      name: {{ include "order-service.externalSecretName" . }}
      key: NATS_URL
      {{- end }}
{{- end }}

{{- define "order-service.mongodb.userEnv" -}}
- name: MONGO_USERNAME
  value: {{ .Values.mongodb.auth.username | quote }}
- name: MONGO_PASSWORD
  valueFrom:
    secretKeyRef:
      name: {{ include "order-service.mongodb.secretName" . }}
      key: MONGO_PASSWORD
{{- end }}

{{- define "order-service.mongodb.rootEnv" -}}
- name: MONGO_INITDB_ROOT_USERNAME
  value: root
- name: MONGO_INITDB_ROOT_PASSWORD
  valueFrom:
    secretKeyRef:
      name: {{ include "order-service.mongodb.secretName" . }}
      key: MONGO_ROOT_PASSWORD
{{- end }}

{{/* As text; empty where there is none. */}}
{{- define "order-service.memoryLimit" -}}
{{- include "order-service.scalar" (dig "limits" "memory" "" .Values.resources) }}
{{- end }}

{{/* Megabytes of heap from the memory limit; nothing where there is none, and where Node is told another way. */}}
{{- define "order-service.heapMegabytes" -}}
{{- $limit := include "order-service.memoryLimit" . }}
{{- $isGiven := false }}
{{- range .Values.extraEnv }}{{ if eq .name "NODE_OPTIONS" }}{{ $isGiven = true }}{{ end }}{{ end }}
{{- if and $limit .Values.heapPercent (not $isGiven) }}
{{- $factors := dict "k" 1e3 "M" 1e6 "G" 1e9 "Ki" 1024 "Mi" 1048576 "Gi" 1073741824 }}
{{- $unit := regexFind "[kMGi]+$" $limit }}
{{- $bytes := mulf (trimSuffix $unit $limit | float64) (get $factors $unit | default 1 | float64) }}
{{- divf (mulf $bytes .Values.heapPercent) 104857600 | floor | int64 }}
{{- end }}
{{- end }}

{{/* Of the secrets that this chart makes; those of yours it cannot see. */}}
{{- define "order-service.secretChecksum" -}}
{{- $data := list (include "order-service.externalSecretData" .) }}
{{- if not .Values.auth.existingSecret }}{{ $data = append $data (include "order-service.jwtSecretData" .) }}{{ end }}
{{- if and .Values.mongodb.enabled (not .Values.mongodb.auth.existingSecret) }}
{{- $data = append $data (include "order-service.mongodb.secretData" .) }}
{{- end }}
{{- join "\n" $data | sha256sum }}
{{- end }}
