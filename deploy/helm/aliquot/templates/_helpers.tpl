{{/*
SPDX-FileCopyrightText: 2026 The Aliquot Authors
SPDX-License-Identifier: Apache-2.0
*/}}

{{/* One installation per cluster: names do not depend on the release. */}}
{{- define "aliquot.name" -}}
{{- .Values.nameOverride | default "aliquot" | trunc 40 | trimSuffix "-" -}}
{{- end }}

{{- define "aliquot.image" -}}
{{ .Values.image.repository }}{{ if hasPrefix "sha256:" .Values.image.tag }}@{{ else }}:{{ end }}{{ .Values.image.tag | default .Chart.AppVersion }}
{{- end }}

{{/* Call with (dict "root" $ "component" "agent"). */}}
{{- define "aliquot.selector" -}}
app.kubernetes.io/name: aliquot
app.kubernetes.io/instance: {{ .root.Release.Name }}
app.kubernetes.io/component: {{ .component }}
{{- end }}

{{- define "aliquot.labels" -}}
{{ include "aliquot.selector" . }}
app.kubernetes.io/version: {{ .root.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
helm.sh/chart: {{ .root.Chart.Name }}-{{ .root.Chart.Version | replace "+" "_" }}
{{- end }}

{{/* Whether the cluster can hold service accounts to a rule about what they write. */}}
{{- define "aliquot.canAdmit" -}}
{{- if and .Values.admissionPolicy.enabled (semverCompare ">=1.30-0" .Capabilities.KubeVersion.Version) }}yes{{ end }}
{{- end }}
