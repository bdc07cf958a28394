{{/* The part of the pod spec that all pods share, without containers. Takes (dict "context" $ "pod" VALUES). */}}
{{- define "order-service.podSpec" -}}
automountServiceAccountToken: false
enableServiceLinks: false
{{- with .context.Values.imagePullSecrets }}
imagePullSecrets:
  {{- toYaml . | nindent 2 }}
{{- end }}
securityContext:
  {{- toYaml .pod.podSecurityContext | nindent 2 }}
{{- with .pod.priorityClassName }}
priorityClassName: {{ quote . }}
{{- end }}
{{- with .pod.nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .pod.tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .pod.affinity }}
affinity:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}

{{/* Soft: pods are spread if possible, and run anyway if not. Takes the same as a selector. */}}
{{- define "order-service.spread" -}}
{{- $constraints := list }}
{{- $selector := dict "matchLabels" (include "order-service.selector" . | fromYaml) }}
{{- range list "kubernetes.io/hostname" "topology.kubernetes.io/zone" }}
{{- $constraints = append $constraints (dict "maxSkew" 1 "topologyKey" . "whenUnsatisfiable" "ScheduleAnyway" "labelSelector" $selector) }}
{{- end }}
{{- toYaml $constraints }}
{{- end }}

{{/*
The claim of a StatefulSet. It has only the labels of the selector, because it can never be changed.
Takes (dict "context" $ "component" NAME "persistence" VALUES).
*/}}
{{- define "order-service.volumeClaim" -}}
apiVersion: v1
kind: PersistentVolumeClaim
metadata:
  name: data
  labels:
    {{- include "order-service.selector" . | nindent 4 }}
spec:
  accessModes: [ReadWriteOnce]
  {{- with include "order-service.storageClass" .persistence }}
  storageClassName: {{ . }}
  {{- end }}
  resources:
    requests:
      storage: {{ .persistence.size | quote }}
{{- end }}

{{/* In quotes: "" asks for no class at all. Empty for the cluster's default. */}}
{{- define "order-service.storageClass" -}}
{{- $class := include "order-service.scalar" .storageClass }}
{{- if $class }}{{ ternary "" $class (eq $class "-") | quote }}{{ end }}
{{- end }}

{{/* Kubernetes before 1.30 has no sleep action; the image has no shell, but it has Node. */}}
{{- define "order-service.preStop" -}}
{{- if semverCompare ">=1.30-0" .Capabilities.KubeVersion.Version -}}
sleep:
  seconds: {{ .Values.preStopSeconds }}
{{- else -}}
exec:
  command: [/nodejs/bin/node, -e, 'setTimeout(() => {}, {{ mul .Values.preStopSeconds 1000 }})']
{{- end }}
{{- end }}

{{/* In a NetworkPolicy: the egress that every pod needs, and the given one. Takes (dict "context" $ "more" LIST). */}}
{{- define "order-service.egress" -}}
{{- with .context.Values.networkPolicy.dnsPorts }}
- ports:
    {{- range . }}
    - protocol: UDP
      port: {{ . }}
    - protocol: TCP
      port: {{ . }}
    {{- end }}
{{- end }}
{{- with .more }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{/* To the broker of this release, otherwise to any place of an external one. */}}
{{- define "order-service.brokerEgress" -}}
{{- if .Values.nats.enabled }}
- to:
    - podSelector:
        matchLabels:
          {{- include "order-service.selector" (dict "context" . "component" "nats") | nindent 10 }}
  ports:
    - port: 4222
{{- else }}
{{- include "order-service.unknownEgress" . }}
{{- end }}
{{- end }}

{{/* The addresses of external servers are not known here: anywhere over TCP, unless they are given. */}}
{{- define "order-service.unknownEgress" -}}
{{- if not .Values.networkPolicy.extraEgress }}
- ports:
    - protocol: TCP
      port: 1
      endPort: 65535
{{- end }}
{{- end }}

{{/* In a NetworkPolicy: the pod of `helm test`. */}}
{{- define "order-service.smokeTestPeer" -}}
- podSelector:
    matchLabels:
      {{- include "order-service.selector" (dict "context" . "component" "smoke-test") | nindent 6 }}
{{- end }}
