{{- define "kentongan.labels" -}}
app.kubernetes.io/name: kentongan
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ .Chart.Name }}-{{ .Chart.Version }}
{{- end }}
{{- define "kentongan.selector" -}}
app.kubernetes.io/name: kentongan
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}
{{- define "kentongan.tracesPort" -}}
{{- $url := urlParse .Values.traces.endpoint }}
{{- $port := regexFind "[0-9]+$" (regexFind ":[0-9]+$" $url.host) }}
{{- default (ternary "443" "80" (eq $url.scheme "https")) $port }}
{{- end }}
{{- define "kentongan.name" -}}
{{- if contains "kentongan" .Release.Name }}{{ .Release.Name | trunc 63 | trimSuffix "-" }}{{ else }}{{ printf "%s-kentongan" .Release.Name | trunc 63 | trimSuffix "-" }}{{ end -}}
{{- end }}
