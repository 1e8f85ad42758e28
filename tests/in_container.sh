#!/bin/sh
# SPDX-FileCopyrightText: 2026 The Aliquot Authors
# SPDX-License-Identifier: Apache-2.0
#
# Runs $IN_CONTAINER_PROGRAM with the mounts that a container runtime would make for an answer of
# Allocate: $IN_CONTAINER_MOUNTS has a line "<host path> <container path>" for each, all read-only.
# The process keeps its number. Everything else is the host's; /run and /etc are its own.
if [ -z "$IN_CONTAINER_INSIDE" ]; then
  export IN_CONTAINER_INSIDE=1
  exec unshare --mount --propagation private "$0" "$@"
fi
set -e
mount -t tmpfs none /mnt
mkdir /mnt/etc
for file in ld.so.cache passwd group nsswitch.conf; do
  if [ -e "/etc/$file" ]; then cp "/etc/$file" /mnt/etc/; fi
done
mount --bind /mnt/etc /etc
mount -t tmpfs none /run
echo "$IN_CONTAINER_MOUNTS" | while read -r host container; do
  [ -n "$host" ] || continue
  mkdir -p "$(dirname "$container")"
  if [ -d "$host" ]; then mkdir -p "$container"; else : >"$container"; fi
  mount --bind "$host" "$container"
  mount -o remount,bind,ro "$container"
done
# Programs open the driver as they do everywhere, unless the test has another way in mind.
export TEST_CUDA_LIBRARY="${IN_CONTAINER_LIBRARY:-libcuda.so.1}"
exec "$IN_CONTAINER_PROGRAM" "$@"
