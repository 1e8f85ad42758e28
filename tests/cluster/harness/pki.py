# SPDX-FileCopyrightText: 2026 The Aliquot Authors
# SPDX-License-Identifier: Apache-2.0
"""Keys, certificates and kubeconfig files of one cluster."""

import base64
import json

from harness import layout
from harness.shell import run

# Who calls the API server: name of the kubeconfig, and the subject it is known by.
CLIENTS = {
    "admin": "/O=system:masters/CN=admin",
    "kube-apiserver": "/O=system:masters/CN=kube-apiserver",  # towards the kubelet
    "kube-controller-manager": "/CN=system:kube-controller-manager",
    "kube-scheduler": "/CN=system:kube-scheduler",
    "kubelet": f"/O=system:nodes/CN=system:node:{layout.NODE}",
}
SERVERS = {
    "kube-apiserver": f"IP:127.0.0.1,IP:{layout.SERVICE_IP},IP:{layout.NODE_IP},DNS:localhost,"
                      "DNS:kubernetes,DNS:kubernetes.default,DNS:kubernetes.default.svc",
    "kubelet": f"IP:127.0.0.1,IP:{layout.NODE_IP},DNS:{layout.NODE}",
}


def _key(name):
    run("openssl", "ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out",
        layout.PKI / f"{name}.key")


def _authority():
    _key("ca")
    run("openssl", "req", "-x509", "-new", "-key", layout.PKI / "ca.key", "-subj", "/CN=test-cluster",
        "-days", "30", "-out", layout.PKI / "ca.crt", "-addext",
        "keyUsage=critical,keyCertSign,cRLSign")


def _certificate(name, subject, usage, alternatives=""):
    _key(name)
    extensions = layout.PKI / f"{name}.ext"
    extensions.write_text(f"keyUsage=critical,digitalSignature\nextendedKeyUsage={usage}\n" +
                          (f"subjectAltName={alternatives}\n" if alternatives else ""))
    request = layout.PKI / f"{name}.csr"
    run("openssl", "req", "-new", "-key", layout.PKI / f"{name}.key", "-subj", subject, "-out",
        request)
    run("openssl", "x509", "-req", "-in", request, "-CA", layout.PKI / "ca.crt", "-CAkey",
        layout.PKI / "ca.key", "-CAcreateserial", "-days", "30", "-extfile", extensions, "-out",
        layout.PKI / f"{name}.crt")
    request.unlink()
    extensions.unlink()


def _inline(name):
    return base64.b64encode((layout.PKI / name).read_bytes()).decode()


def _kubeconfig(name):
    content = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "test", "cluster": {
            "server": "https://127.0.0.1",
            "certificate-authority-data": _inline("ca.crt")}}],
        "users": [{"name": name, "user": {
            "client-certificate-data": _inline(f"{name}-client.crt"),
            "client-key-data": _inline(f"{name}-client.key")}}],
        "contexts": [{"name": "test", "context": {"cluster": "test", "user": name}}],
        "current-context": "test",
    }
    (layout.STATE / f"{name}.kubeconfig").write_text(json.dumps(content, indent=1))


def make():
    layout.PKI.mkdir(parents=True, mode=0o700)
    _authority()
    for name, alternatives in SERVERS.items():
        _certificate(f"{name}-server", f"/CN={name}", "serverAuth", alternatives)
    for name, subject in CLIENTS.items():
        _certificate(f"{name}-client", subject, "clientAuth")
        _kubeconfig(name)
    run("openssl", "genrsa", "-out", layout.PKI / "service-account.key", "2048")
    run("openssl", "rsa", "-in", layout.PKI / "service-account.key", "-pubout", "-out",
        layout.PKI / "service-account.pub")
