# SPDX-FileCopyrightText: 2026 The Aliquot Authors
# SPDX-License-Identifier: Apache-2.0
"""The programs of the control plane and the node: how each is configured and called.

Everything here is seen from inside the cluster's namespaces.
"""

import json

from harness import binaries, layout

ETCD = "http://127.0.0.1:2379"
PKI = layout.PKI


def _client(name):
    return layout.STATE / f"{name}.kubeconfig"


def etcd():
    return ["etcd", "--name=only", "--data-dir=/var/lib/etcd", f"--listen-client-urls={ETCD}",
            f"--advertise-client-urls={ETCD}", "--listen-peer-urls=http://127.0.0.1:2380",
            "--initial-advertise-peer-urls=http://127.0.0.1:2380",
            "--initial-cluster=only=http://127.0.0.1:2380", "--log-level=warn",
            "--unsafe-no-fsync"]


# Who is written down in audit.log: the service accounts of the guide's namespace.
AUDIT = {
    "apiVersion": "audit.k8s.io/v1", "kind": "Policy", "omitStages": ["RequestReceived"],
    "rules": [{"level": "Metadata", "userGroups": ["system:serviceaccounts:gpu-operator"]},
              {"level": "None"}],
}


def apiserver():
    audit = layout.STATE / "audit-policy.yaml"
    audit.write_text(json.dumps(AUDIT))
    return [
        "kube-apiserver", f"--etcd-servers={ETCD}",
        # On the service's own port, so that the service address needs no proxy in front.
        "--bind-address=0.0.0.0", "--secure-port=443", f"--advertise-address={layout.NODE_IP}",
        f"--service-cluster-ip-range={layout.SERVICE_CIDR}", "--allow-privileged=true",
        "--authorization-mode=Node,RBAC", "--enable-admission-plugins=NodeRestriction",
        f"--audit-policy-file={audit}", f"--audit-log-path={layout.AUDIT}",
        f"--client-ca-file={PKI}/ca.crt",
        f"--tls-cert-file={PKI}/kube-apiserver-server.crt",
        f"--tls-private-key-file={PKI}/kube-apiserver-server.key",
        "--service-account-issuer=https://kubernetes.default.svc.cluster.local",
        f"--service-account-key-file={PKI}/service-account.pub",
        f"--service-account-signing-key-file={PKI}/service-account.key",
        f"--kubelet-certificate-authority={PKI}/ca.crt",
        f"--kubelet-client-certificate={PKI}/kube-apiserver-client.crt",
        f"--kubelet-client-key={PKI}/kube-apiserver-client.key",
        "--kubelet-preferred-address-types=InternalIP", "--profiling=false",
        # Nobody comes through a front proxy; without an authority for one the others complain.
        f"--requestheader-client-ca-file={PKI}/ca.crt", "--requestheader-allowed-names=nobody",
        "--requestheader-username-headers=X-Remote-User",
    ]


def _with_kubeconfig(name):
    config = _client(name)
    return [name, f"--kubeconfig={config}", f"--authentication-kubeconfig={config}",
            f"--authorization-kubeconfig={config}", "--bind-address=127.0.0.1",
            "--leader-elect=false", "--profiling=false"]


def controller_manager():
    return _with_kubeconfig("kube-controller-manager") + [
        "--use-service-account-credentials=true",
        "--kube-api-qps=1000", "--kube-api-burst=2000",  # for stories with thousands of nodes
        f"--service-account-private-key-file={PKI}/service-account.key",
        f"--root-ca-file={PKI}/ca.crt",
    ]


def scheduler():
    return _with_kubeconfig("kube-scheduler")


def kubelet():
    config = layout.STATE / "kubelet.yaml"
    config.write_text(json.dumps({
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "authentication": {"anonymous": {"enabled": False}, "webhook": {"enabled": True},
                           "x509": {"clientCAFile": f"{PKI}/ca.crt"}},
        "authorization": {"mode": "Webhook"},
        "tlsCertFile": f"{PKI}/kubelet-server.crt",
        "tlsPrivateKeyFile": f"{PKI}/kubelet-server.key",
        "containerRuntimeEndpoint": f"unix://{layout.CONTAINERD}",
        "cgroupDriver": "cgroupfs",
        "cgroupRoot": f"/{layout.NAME}",
        "failCgroupV1": False,
        "failSwapOn": False,
        "makeIPTablesUtilChains": False,  # nothing here needs iptables
        "resolvConf": "",
        "clusterDNS": ["10.96.0.10"],  # nobody answers; without it each pod gets a warning event
        "imageGCHighThresholdPercent": 100,  # what was imported cannot be pulled again
        # The machine's disk is not ours to judge.
        "evictionHard": {"memory.available": "100Mi", "nodefs.available": "1%",
                         "imagefs.available": "1%", "nodefs.inodesFree": "1%",
                         "imagefs.inodesFree": "1%"},
        "nodeStatusUpdateFrequency": "5s",
        "syncFrequency": "5s",  # how soon a mounted ConfigMap is rewritten
        "volumePluginDir": "/var/lib/kubelet/volume-plugins",
    }, indent=1))
    return ["kubelet", f"--config={config}", f"--kubeconfig={_client('kubelet')}",
            f"--hostname-override={layout.NODE}", f"--node-ip={layout.NODE_IP}"]


CONTAINERD_CONFIG = """\
version = 3
root = "/var/lib/containerd"
state = "/run/containerd"
disabled_plugins = [
  "io.containerd.internal.v1.tracing", "io.containerd.tracing.processor.v1.otlp",
  "io.containerd.nri.v1.nri", "io.containerd.snapshotter.v1.blockfile",
  "io.containerd.snapshotter.v1.devmapper", "io.containerd.snapshotter.v1.erofs",
  "io.containerd.snapshotter.v1.zfs",
]
[plugins."io.containerd.cri.v1.images".pinned_images]
  sandbox = "localhost/pause:1"
[plugins."io.containerd.cri.v1.runtime"]
  enable_cdi = true
  cdi_spec_dirs = ["/etc/cdi", "/var/run/cdi"]
  # Even root may lack the capability to lower a score.
  restrict_oom_score_adj = true
  [plugins."io.containerd.cri.v1.runtime".containerd.runtimes.runc]
    runtime_type = "io.containerd.runc.v2"
    [plugins."io.containerd.cri.v1.runtime".containerd.runtimes.runc.options]
      BinaryName = "/usr/sbin/runc"
      SystemdCgroup = false
  [plugins."io.containerd.cri.v1.runtime".cni]
    bin_dirs = ["{programs}"]
    conf_dir = "/etc/cni/net.d"
    use_internal_loopback = true
[plugins."io.containerd.grpc.v1.cri"]
  disable_tcp_service = true
  stream_server_address = "127.0.0.1"
"""


def containerd():
    config = layout.STATE / "containerd.toml"
    config.write_text(CONTAINERD_CONFIG.replace("{programs}", str(binaries.CONTAINERD.directory)))
    return ["containerd", f"--config={config}", "--log-level=warn"]


def pod_network():
    """The CNI configuration: pods on the bridge that the sandbox made."""
    return json.dumps({"cniVersion": "1.0.0", "name": "pods", "plugins": [{
        "type": "bridge", "bridge": "pods0", "isGateway": False, "hairpinMode": True,
        "ipam": {"type": "host-local", "dataDir": "/run/pod-addresses",
                 "ranges": [[{"subnet": layout.POD_CIDR, "rangeStart": "10.244.0.10",
                              "gateway": layout.NODE_IP}]],
                 "routes": [{"dst": "0.0.0.0/0"}]}}]})
