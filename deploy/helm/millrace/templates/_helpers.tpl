{{- define "millrace.name" -}}
{{- if contains .Chart.Name .Release.Name -}}
{{- .Release.Name | trunc 40 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name .Chart.Name | trunc 40 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{- define "millrace.selector" -}}
app.kubernetes.io/name: millrace
app.kubernetes.io/instance: {{ .root.Release.Name }}
app.kubernetes.io/component: {{ .component }}
{{- end -}}

{{- define "millrace.labels" -}}
{{ include "millrace.selector" . }}
app.kubernetes.io/version: {{ .root.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .root.Chart.Name .root.Chart.Version }}
{{- end -}}

{{- define "millrace.serviceAccount" -}}
{{- if .Values.serviceAccount.create -}}
{{- default (include "millrace.name" .) .Values.serviceAccount.name -}}
{{- else -}}
{{- default "default" .Values.serviceAccount.name -}}
{{- end -}}
{{- end -}}

{{/* The processes: all services in one, or one each. The edge has no tables. */}}
{{- define "millrace.components" -}}
{{- if eq .Values.shape "embedded" -}}
all
{{- else -}}
edge order inventory catalog customer payment notification
{{- end -}}
{{- end -}}

{{/* Where a process keeps its tables: an entry of its environment, or nothing for a file. */}}
{{- define "millrace.database" -}}
{{- $values := .root.Values -}}
{{- $own := dict -}}
{{- if hasKey $values.database.services .component -}}
{{- $own = get $values.database.services .component -}}
{{- end -}}
{{- $secret := default dict $own.existingSecret -}}
{{- if eq .component "edge" -}}
{{- else if $secret.name }}
- name: MILLRACE_SERVICES__{{ upper .component }}__DATABASE
  valueFrom:
    secretKeyRef: {name: {{ $secret.name }}, key: {{ default "url" $secret.key }}}
{{- else if $own.url }}
- {name: MILLRACE_SERVICES__{{ upper .component }}__DATABASE, value: {{ $own.url | quote }}}
{{- else if $values.postgresql.enabled }}
- name: MILLRACE_DATABASE__URL
  valueFrom:
    secretKeyRef: {name: {{ include "millrace.name" .root }}-postgresql, key: url}
{{- else if $values.database.existingSecret.name }}
- name: MILLRACE_DATABASE__URL
  valueFrom:
    secretKeyRef: {name: {{ $values.database.existingSecret.name }}, key: {{ $values.database.existingSecret.key }}}
{{- else if $values.database.url }}
- {name: MILLRACE_DATABASE__URL, value: {{ $values.database.url | quote }}}
{{- end -}}
{{- end -}}
