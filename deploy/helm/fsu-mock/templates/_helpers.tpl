{{- define "fsu-mock.labels" -}}
app.kubernetes.io/name: fsu-mock
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
{{- end }}

{{- define "fsu-mock.image" -}}
{{ .Values.image.repository }}:{{ .Values.image.tag | default .Chart.AppVersion }}
{{- end }}

{{- /* A key of a ConfigMap has no slash: `door/rules.json` is `door__rules.json`. */ -}}
{{- define "fsu-mock.key" -}}
{{ . | replace "/" "__" }}
{{- end }}

{{- define "fsu-mock.hasConfig" -}}
{{- if or .Values.config.claim .Values.config.configMap .Values.config.files }}yes{{ end }}
{{- end }}

{{- define "fsu-mock.configArgs" -}}
{{- if include "fsu-mock.hasConfig" . }}
- --config
- /etc/fsu-mock
{{- end }}
{{- end }}

{{- define "fsu-mock.podSecurity" -}}
runAsNonRoot: true
runAsUser: 65532
runAsGroup: 65532
fsGroup: 65532
seccompProfile:
  type: {{ .Values.seccomp.type }}
  {{- if eq .Values.seccomp.type "Localhost" }}
  localhostProfile: {{ .Values.seccomp.localhostProfile }}
  {{- end }}
{{- end }}

{{- define "fsu-mock.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities:
  drop: [ALL]
{{- end }}

{{- define "fsu-mock.volumes" -}}
{{- if .Values.config.claim }}
- name: config
  persistentVolumeClaim:
    claimName: {{ .Values.config.claim }}
    readOnly: true
{{- else if .Values.config.configMap }}
- name: config
  configMap:
    name: {{ .Values.config.configMap }}
{{- else if .Values.config.files }}
- name: config
  configMap:
    name: {{ .Release.Name }}-config
    items:
      {{- range $path, $text := .Values.config.files }}
      - key: {{ include "fsu-mock.key" $path }}
        path: {{ $path }}
      {{- end }}
{{- end }}
- name: results
  {{- if .Values.results.claim }}
  persistentVolumeClaim:
    claimName: {{ .Values.results.claim }}
  {{- else }}
  emptyDir: {}
  {{- end }}
{{- end }}

{{- define "fsu-mock.configMount" -}}
{{- if include "fsu-mock.hasConfig" . }}
- name: config
  mountPath: /etc/fsu-mock
  readOnly: true
{{- end }}
{{- end }}
