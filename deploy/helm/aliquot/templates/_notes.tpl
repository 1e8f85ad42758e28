{{/*
SPDX-FileCopyrightText: 2026 The Aliquot Authors
SPDX-License-Identifier: Apache-2.0
*/}}

{{- define "aliquot.notes" -}}
{{- $ns := .Release.Namespace -}}
Aliquot {{ .Chart.AppVersion }} is installed in namespace {{ $ns }}.
{{- if .Values.simulation.enabled }}

  *** SIMULATED GPUs: every node of this release pretends to have those of
  *** {{ if .Values.simulation.nodeFile }}simulation.nodeFile{{ else }}"{{ .Values.simulation.node }}"{{ end }}. Pods will be placed, and nothing will compute.
{{- end }}

  kubectl get clusterpolicy                          # ready, once the agents are up
  kubectl get nodes -L nvidia.com/gpu.present,nvidia.com/gpu.product
  kubectl -n {{ $ns }} get pods -l app.kubernetes.io/name=aliquot -o wide
{{- $warnings := list }}
{{- if .Values.driver.enabled }}
{{- $warnings = append $warnings "driver.enabled: Aliquot installs no driver; the nodes need one (docs/migrating-from-gpu-operator.md)" }}
{{- end }}
{{- if .Values.toolkit.enabled }}
{{- $warnings = append $warnings "toolkit.enabled: Aliquot installs no container toolkit; with cdi.enabled none is needed" }}
{{- end }}
{{- range $part := list "dcgm" "dcgmExporter" "nodeStatusExporter" "vgpuManager" "vgpuDeviceManager" "vfioManager" "sandboxDevicePlugin" "kataManager" "kataSandboxDevicePlugin" "ccManager" "gds" "gdrcopy" "psp" "gpuCluster" }}
{{- if dig $part "enabled" false $.Values.AsMap }}
{{- $warnings = append $warnings (printf "%s.enabled: not part of Aliquot; install it beside" $part) }}
{{- end }}
{{- end }}
{{- if .Values.sandboxWorkloads.enabled }}
{{- $warnings = append $warnings "sandboxWorkloads.enabled: nodes for virtual machines are left alone; nothing serves their GPUs" }}
{{- end }}
{{- if .Values.nfd.enabled }}
{{- $warnings = append $warnings "nfd.enabled: Node Feature Discovery is not part of this chart and not needed; it is used if you install it" }}
{{- end }}
{{- if .Values.psa.enabled }}
{{- $warnings = append $warnings (printf "psa.enabled: label the namespace yourself: kubectl label ns %s pod-security.kubernetes.io/enforce=privileged" $ns) }}
{{- end }}
{{- range $part := list "operator" "devicePlugin" "gfd" "migManager" }}
{{- range $field := list "repository" "image" "version" }}
{{- if dig $part $field "" $.Values.AsMap }}
{{- $warnings = append $warnings (printf "%s.%s: one image does everything here; set image.repository and image.tag" $part $field) }}
{{- end }}
{{- end }}
{{- end }}
{{- range $part := list "devicePlugin" "gfd" "migManager" }}
{{- range $field := list "resources" "args" "imagePullSecrets" }}
{{- if dig $part $field "" $.Values.AsMap }}
{{- $warnings = append $warnings (printf "%s.%s: set agent.resources, agent.args or image.pullSecrets" $part $field) }}
{{- end }}
{{- end }}
{{- end }}
{{- if .Values.devicePlugin.mps }}
{{- $warnings = append $warnings "devicePlugin.mps: MPS is not offered yet" }}
{{- end }}
{{- if dig "cdi" "nriPluginEnabled" false .Values.AsMap }}
{{- $warnings = append $warnings "cdi.nriPluginEnabled: not part of Aliquot" }}
{{- end }}
{{- if and .Values.hostPaths.driverInstallDir (ne .Values.hostPaths.driverInstallDir "/run/nvidia/driver") }}
{{- $warnings = append $warnings "hostPaths.driverInstallDir: set hostPaths.driverRoot" }}
{{- end }}
{{- $known := list "image" "clusterPolicy" "devicePlugin" "gfd" "mig" "migManager" "sandboxWorkloads" "daemonsets" "agent" "operator" "controller" "cdi" "hostPaths" "admissionPolicy" "networkPolicy" "serviceMonitor" "simulation" "nameOverride" "driver" "toolkit" "dcgm" "dcgmExporter" "nodeStatusExporter" "nfd" "psa" "global" "vgpuManager" "vgpuDeviceManager" "vfioManager" "sandboxDevicePlugin" "kataManager" "kataSandboxDevicePlugin" "ccManager" "gds" "gdrcopy" "psp" "validator" "gpuCluster" "node-feature-discovery" "platform" "fullnameOverride" }}
{{- range $key, $value := .Values }}
{{- if not (has $key $known) }}
{{- $warnings = append $warnings (printf "%s: unknown value" $key) }}
{{- end }}
{{- end }}
{{- if index .Values "node-feature-discovery" }}
{{- $warnings = append $warnings "node-feature-discovery: not part of this chart" }}
{{- end }}
{{- if and .Values.admissionPolicy.enabled (not (include "aliquot.canAdmit" .)) }}
{{- $warnings = append $warnings "admissionPolicy.enabled: this cluster is older than Kubernetes 1.30; agents are not held to their own Node" }}
{{- end }}
{{- if not .Values.agent.hostPID }}
{{- $warnings = append $warnings "agent.hostPID=false: processes on GPUs cannot be told apart by pod" }}
{{- end }}
{{- with $warnings }}

Without effect, or not as you may expect:
{{- range . }}
  - {{ . }}
{{- end }}
{{- end }}
{{- end }}
