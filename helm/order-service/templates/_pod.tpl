{{/* What all pods have in common, as far as it is not their containers. Takes (dict "context" $ "pod" VALUES). */}}
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
priorityClassName: {{ . }}
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

{{/* Soft: pods are spread where that can be had, and run all the same where not. Takes what a selector takes. */}}
{{- define "order-service.spread" -}}
{{- $constraints := list }}
{{- $selector := dict "matchLabels" (include "order-service.selector" . | fromYaml) }}
{{- range list "kubernetes.io/hostname" "topology.kubernetes.io/zone" }}
{{- $constraints = append $constraints (dict "maxSkew" 1 "topologyKey" . "whenUnsatisfiable" "ScheduleAnyway" "labelSelector" $selector) }}
{{- end }}
{{- toYaml $constraints }}
{{- end }}

{{/*
The claim of a StatefulSet. Its labels are those of the selector alone, for it can never be changed.
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
  {{- with .persistence.storageClass }}
  storageClassName: {{ . }}
  {{- end }}
  resources:
    requests:
      storage: {{ .persistence.size }}
{{- end }}

{{/* Each Kubernetes before 1.30 lacks the sleep action; the image has no shell, but it has Node. */}}
{{- define "order-service.preStop" -}}
{{- if semverCompare ">=1.30-0" .Capabilities.KubeVersion.Version -}}
sleep:
  seconds: {{ .Values.preStopSeconds }}
{{- else -}}
exec:
  command: [/nodejs/bin/node, -e, 'setTimeout(() => {}, {{ mul .Values.preStopSeconds 1000 }})']
{{- end }}
{{- end }}

{{- define "order-service.dnsEgress" -}}
- ports:
    - protocol: UDP
      port: 53
    - protocol: TCP
      port: 53
{{- end }}

{{/* In a NetworkPolicy: the pod of `helm test`. */}}
{{- define "order-service.smokeTestPeer" -}}
- podSelector:
    matchLabels:
      {{- include "order-service.selector" (dict "context" . "component" "smoke-test") | nindent 6 }}
{{- end }}
