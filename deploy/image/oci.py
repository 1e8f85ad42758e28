# SPDX-FileCopyrightText: 2026 The Aliquot Authors
# SPDX-License-Identifier: Apache-2.0
"""Writes container images of one layer as OCI image layouts in a tar archive.

What `ctr images import`, `docker load` (25 or later), `skopeo copy oci-archive:` and `podman load`
read. The same files give the same bytes, whenever and wherever the archive is made.
"""

import gzip
import hashlib
import io
import json
import tarfile

MEDIA = "application/vnd.oci.image."


def _digest(content):
    return "sha256:" + hashlib.sha256(content).hexdigest()


def _json(value):
    return json.dumps(value, sort_keys=True, separators=(",", ":")).encode()


def _descriptor(kind, content, **more):
    return {"mediaType": MEDIA + kind, "digest": _digest(content), "size": len(content), **more}


def _anonymous(entry):
    entry.uid = entry.gid = 0
    entry.uname = entry.gname = ""
    entry.mtime = 0
    return entry


def _layer(rootfs):
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for path in sorted(rootfs.rglob("*")):
            archive.add(path, arcname=str(path.relative_to(rootfs)), recursive=False,
                        filter=_anonymous)
    return out.getvalue()


def write(path, reference, rootfs, entrypoint, env=()):
    """Makes an image of the directory `rootfs`; returns its size unpacked and packed, in bytes."""
    plain = _layer(rootfs)
    packed = gzip.compress(plain, 6, mtime=0)
    config = _json({
        "architecture": "amd64", "os": "linux",
        "rootfs": {"type": "layers", "diff_ids": [_digest(plain)]},
        "config": {"Entrypoint": list(entrypoint), "Env": ["PATH=/usr/sbin:/usr/bin:/sbin:/bin",
                                                           *env], "WorkingDir": "/"}})
    manifest = _json({"schemaVersion": 2, "mediaType": MEDIA + "manifest.v1+json",
                      "config": _descriptor("config.v1+json", config),
                      "layers": [_descriptor("layer.v1.tar+gzip", packed)]})
    name = {"io.containerd.image.name": reference,
            "org.opencontainers.image.ref.name": reference.rpartition(":")[2]}
    index = _json({"schemaVersion": 2, "mediaType": MEDIA + "index.v1+json",
                   "manifests": [_descriptor("manifest.v1+json", manifest, annotations=name,
                                             platform={"architecture": "amd64", "os": "linux"})]})
    with tarfile.open(path, "w") as archive:
        def add(member, content):
            entry = tarfile.TarInfo(member)
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))

        add("oci-layout", _json({"imageLayoutVersion": "1.0.0"}))
        add("index.json", index)
        for content in (config, manifest, packed):
            add("blobs/" + _digest(content).replace(":", "/"), content)
    return len(plain), len(packed)
