{{/* The settings of the service, given and computed. */}}

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
NATS_URL: {{ include "order-service.nats.url" . | quote }}
{{- end }}
{{- end }}

{{- define "order-service.nats.url" -}}
nats://{{ include "order-service.nats.serviceName" . }}:4222
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

{{/* HOST:PORT of each member, by the names that they use among themselves. */}}
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
A secret value: as given, or as in the cluster, or a random one. A rendering uses it more than once, in the secret and
in its checksum, and it must be the same each time: so it is stored in "values".
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
JWT_KEY: {{ include "order-service.secretValue" (dict "context" . "values" .Values.auth "field" "jwtKey" "secret" (include "order-service.fullname" .) "key" "JWT_KEY") | b64enc | quote }}
{{- with .Values.auth.jwtKeyPrevious }}
JWT_KEY_PREVIOUS: {{ b64enc . | quote }}
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

{{/* The values of external servers that may be secret. */}}
{{- define "order-service.externalSecretData" -}}
{{- $data := dict }}
{{- range $prefix, $external := dict "MONGO" .Values.externalMongodb "NATS" .Values.externalNats }}
{{- with $external.url }}{{ $_ := set $data (printf "%s_URL" $prefix) (b64enc .) }}{{ end }}
{{- with $external.password }}{{ $_ := set $data (printf "%s_PASSWORD" $prefix) (b64enc .) }}{{ end }}
{{- end }}
{{- with $data }}{{ toYaml . }}{{ end }}
{{- end }}

{{/* The environment of the service's container; the rest comes from the ConfigMap. */}}
{{- define "order-service.env" -}}
{{- include "order-service.secretEnv" (dict "context" . "secrets" (include "order-service.secrets" . | fromYamlArray)) }}
{{- include "order-service.mongoUserEnv" . }}
{{- include "order-service.externalNatsEnv" . }}
{{- end }}

{{- define "order-service.mongoUserEnv" -}}
{{- if .Values.mongodb.enabled }}
{{ include "order-service.mongodb.usernameEnv" . }}
{{- else }}
{{- include "order-service.externalUsernameEnv" (dict "external" .Values.externalMongodb "name" "MONGO_USERNAME") }}
{{- end }}
{{- end }}

{{/* The same for the smoke test, a peer of the service. */}}
{{- define "order-service.smokeTestEnv" -}}
{{- include "order-service.secretEnv" (dict "context" . "secrets" (include "order-service.smokeTestSecrets" . | fromYamlArray)) }}
{{- include "order-service.externalNatsEnv" . }}
{{- end }}

{{/* The service's secrets, each as {name, secret, key, optional}: its setting, and the place of the value. */}}
{{- define "order-service.secrets" -}}
{{- $jwt := include "order-service.jwtSecretName" . }}
{{- $list := list (dict "name" "JWT_KEY" "secret" $jwt "key" (include "order-service.jwtSecretKey" .)) }}
{{- $previous := .Values.auth.existingSecretPreviousKey }}
{{- if $previous }}
{{- $list = append $list (dict "name" "JWT_KEY_PREVIOUS" "secret" $jwt "key" $previous) }}
{{- else if or (not .Values.secretsAsFiles) .Values.auth.jwtKeyPrevious }}
{{- /* A setting that names a missing file would be an error. */}}
{{- $list = append $list (dict "name" "JWT_KEY_PREVIOUS" "secret" $jwt "key" "JWT_KEY_PREVIOUS" "optional" true) }}
{{- end }}
{{- if .Values.mongodb.enabled }}
{{- $list = append $list (dict "name" "MONGO_PASSWORD" "secret" (include "order-service.mongodb.secretName" .) "key" "MONGO_PASSWORD") }}
{{- else }}
{{- $list = concat $list (include "order-service.externalSecrets" (dict "context" . "external" .Values.externalMongodb "prefix" "MONGO") | fromYamlArray) }}
{{- end }}
{{- if not .Values.nats.enabled }}
{{- $list = concat $list (include "order-service.externalSecrets" (dict "context" . "external" .Values.externalNats "prefix" "NATS") | fromYamlArray) }}
{{- end }}
{{- toYaml $list }}
{{- end }}

{{- define "order-service.smokeTestSecrets" -}}
{{- $list := list }}
{{- range include "order-service.secrets" . | fromYamlArray }}
{{- if has .name (list "JWT_KEY" "NATS_URL" "NATS_PASSWORD") }}{{ $list = append $list . }}{{ end }}
{{- end }}
{{- toYaml $list }}
{{- end }}

{{/* Of the import: both databases. */}}
{{- define "order-service.importSecrets" -}}
{{- $from := .Values.import.from }}
{{- $list := list }}
{{- if $from.existingSecret }}
{{- $list = append $list (dict "name" "OLD_MONGO_URL" "secret" $from.existingSecret "key" $from.existingSecretKey) }}
{{- else }}
{{- $list = append $list (dict "name" "OLD_MONGO_URL" "secret" (include "order-service.importName" .) "key" "OLD_MONGO_URL") }}
{{- end }}
{{- range include "order-service.secrets" . | fromYamlArray }}
{{- if hasPrefix "MONGO_" .name }}{{ $list = append $list . }}{{ end }}
{{- end }}
{{- toYaml $list }}
{{- end }}

{{- define "order-service.importName" -}}
{{ include "order-service.fullname" . }}-import
{{- end }}

{{/* URL and password of an external server. Takes (dict "context" $ "external" VALUES "prefix" "MONGO"). */}}
{{- define "order-service.externalSecrets" -}}
{{- $own := include "order-service.externalSecretName" .context }}
{{- $url := printf "%s_URL" .prefix }}
{{- $password := printf "%s_PASSWORD" .prefix }}
{{- $list := list }}
{{- if .external.url }}
{{- $list = append $list (dict "name" $url "secret" $own "key" $url) }}
{{- else }}
{{- $list = append $list (dict "name" $url "secret" .external.existingSecret "key" .external.existingSecretKey) }}
{{- end }}
{{- if .external.password }}
{{- $list = append $list (dict "name" $password "secret" $own "key" $password) }}
{{- else if .external.existingSecretPasswordKey }}
{{- $list = append $list (dict "name" $password "secret" .external.existingSecret "key" .external.existingSecretPasswordKey) }}
{{- end }}
{{- toYaml $list }}
{{- end }}

{{/* The secrets as environment variables, or as the files that hold them. Takes (dict "context" $ "secrets" LIST). */}}
{{- define "order-service.secretEnv" -}}
{{- $asFiles := .context.Values.secretsAsFiles }}
{{- range .secrets }}
{{- if $asFiles }}
- name: {{ .name }}_FILE
  value: {{ printf "%s/%s" (include "order-service.secretFolder" $) .name | quote }}
{{- else }}
- name: {{ .name }}
  valueFrom:
    secretKeyRef:
      {{- omit . "secret" | merge (dict "name" .secret) | toYaml | nindent 6 }}
{{- end }}
{{- end }}
{{- end }}

{{- define "order-service.secretFolder" -}}
/run/secrets/order-service
{{- end }}

{{/* Takes (dict "external" VALUES "name" "NATS_USERNAME"). */}}
{{- define "order-service.externalUsernameEnv" -}}
{{- if .external.username }}
- name: {{ .name }}
  value: {{ .external.username | quote }}
{{- else if .external.existingSecretUsernameKey }}
- name: {{ .name }}
  valueFrom:
    secretKeyRef:
      name: {{ .external.existingSecret | quote }}
      key: {{ .external.existingSecretUsernameKey | quote }}
{{- end }}
{{- end }}

{{/* Besides the secrets: the settings of a client of an external NATS. */}}
{{- define "order-service.externalNatsEnv" -}}
{{- if not .Values.nats.enabled }}
{{- include "order-service.externalUsernameEnv" (dict "external" .Values.externalNats "name" "NATS_USERNAME") }}
{{- range $name, $file := include "order-service.natsTlsFiles" . | fromYaml }}
- name: {{ $name }}
  value: {{ printf "%s/%s" (include "order-service.secretFolder" $) $file.path | quote }}
{{- end }}
{{- end }}
{{- end }}

{{/* By setting, the files for TLS with an external NATS: {kind, object, key, path}. */}}
{{- define "order-service.natsTlsFiles" -}}
{{- $tls := .Values.externalNats.tls }}
{{- $files := dict }}
{{- if $tls.caSecret }}
{{- $_ := set $files "NATS_CA_FILE" (dict "kind" "secret" "object" $tls.caSecret "key" $tls.caKey "path" "nats-ca.crt") }}
{{- else if $tls.caConfigMap }}
{{- $_ := set $files "NATS_CA_FILE" (dict "kind" "configMap" "object" $tls.caConfigMap "key" $tls.caKey "path" "nats-ca.crt") }}
{{- end }}
{{- if $tls.certSecret }}
{{- $_ := set $files "NATS_CERT_FILE" (dict "kind" "secret" "object" $tls.certSecret "key" "tls.crt" "path" "nats-tls.crt") }}
{{- $_ := set $files "NATS_KEY_FILE" (dict "kind" "secret" "object" $tls.certSecret "key" "tls.key" "path" "nats-tls.key") }}
{{- end }}
{{- toYaml $files }}
{{- end }}

{{/* The sources of the volume that holds these files; empty if there are none. Takes the same as secretEnv. */}}
{{- define "order-service.secretSources" -}}
{{- if .context.Values.secretsAsFiles }}
{{- range .secrets }}
- secret:
    name: {{ .secret | quote }}
    {{- if .optional }}
    optional: true
    {{- end }}
    items:
      - key: {{ .key | quote }}
        path: {{ .name }}
{{- end }}
{{- end }}
{{- if not .context.Values.nats.enabled }}
{{- range include "order-service.natsTlsFiles" .context | fromYaml }}
- {{ .kind }}:
    name: {{ .object | quote }}
    items:
      - key: {{ .key | quote }}
        path: {{ .path }}
{{- end }}
{{- end }}
{{- end }}

{{/* Takes the same as secretEnv. 292 is 0444: no other user is in the pod, and not every pod has an fsGroup. */}}
{{- define "order-service.secretVolume" -}}
{{- with include "order-service.secretSources" . }}
- name: secrets
  projected:
    defaultMode: 292
    sources:
      {{- trim . | nindent 6 }}
{{- end }}
{{- end }}

{{- define "order-service.secretVolumeMount" -}}
{{- if include "order-service.secretSources" . }}
- name: secrets
  mountPath: {{ include "order-service.secretFolder" . }}
  readOnly: true
{{- end }}
{{- end }}

{{- define "order-service.mongodb.usernameEnv" -}}
- name: MONGO_USERNAME
  value: {{ .Values.mongodb.auth.username | quote }}
{{- end }}

{{- define "order-service.mongodb.userEnv" -}}
{{ include "order-service.mongodb.usernameEnv" . }}
- name: MONGO_PASSWORD
  valueFrom:
    secretKeyRef:
      name: {{ include "order-service.mongodb.secretName" . | quote }}
      key: MONGO_PASSWORD
{{- end }}

{{- define "order-service.mongodb.rootEnv" -}}
- name: MONGO_INITDB_ROOT_USERNAME
  value: root
- name: MONGO_INITDB_ROOT_PASSWORD
  valueFrom:
    secretKeyRef:
      name: {{ include "order-service.mongodb.secretName" . | quote }}
      key: MONGO_ROOT_PASSWORD
{{- end }}

{{/* As text; empty if there is none. */}}
{{- define "order-service.memoryLimit" -}}
{{- include "order-service.scalar" (dig "limits" "memory" "" .Values.resources) }}
{{- end }}

{{/* Megabytes of heap from the memory limit; empty if there is none, or if Node gets it in another way. */}}
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

{{/* Of the secrets that this chart creates; it cannot see your own. */}}
{{- define "order-service.secretChecksum" -}}
{{- $data := list (include "order-service.externalSecretData" .) }}
{{- if not .Values.auth.existingSecret }}{{ $data = append $data (include "order-service.jwtSecretData" .) }}{{ end }}
{{- if and .Values.mongodb.enabled (not .Values.mongodb.auth.existingSecret) }}
{{- $data = append $data (include "order-service.mongodb.secretData" .) }}
{{- end }}
{{- join "\n" $data | sha256sum }}
{{- end }}
