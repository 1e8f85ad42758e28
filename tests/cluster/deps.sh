#!/usr/bin/env bash
# SPDX-FileCopyrightText: 2026 The Aliquot Authors
# SPDX-License-Identifier: Apache-2.0
#
#   deps.sh       installs what the test cluster needs beyond tools/install-deps.sh
#   deps.sh go    and a Go that can build its programs, whose path it prints
#
# Debian 12's own Go is too old for that but able to fetch a newer toolchain as what it is, a Go
# module, checked against the public checksum database.
set -euo pipefail

needed=1.26.8
packages=(runc busybox-static iproute2 openssl util-linux gcc libc6-dev)

as_root=()
[ "$(id -u)" -eq 0 ] || as_root=(sudo)

install_missing() {
  local missing=() package state log
  for package in "$@"; do
    state=$(dpkg-query -W -f='${db:Status-Abbrev}' "$package" 2>/dev/null || true)
    [ "${state%% *}" = ii ] || missing+=("$package")
  done
  [ ${#missing[@]} -eq 0 ] && return
  echo "installing: ${missing[*]}" >&2
  log=$(mktemp)
  if ! { "${as_root[@]}" apt-get update -q &&
         DEBIAN_FRONTEND=noninteractive "${as_root[@]}" apt-get install -q -y \
           --no-install-recommends "${missing[@]}"; } >"$log" 2>&1; then
    tail -n 20 "$log" >&2
    exit 1
  fi
  rm -f "$log"
}

# True if program $1 is a Go of at least the needed version.
new_enough() {
  local version
  version=$(GOTOOLCHAIN=local "$1" env GOVERSION 2>/dev/null) || return 1
  version=${version#go}
  [ "$(printf '%s\n%s\n' "$needed" "${version%% *}" | sort -V | head -n 1)" = "$needed" ]
}

install_missing "${packages[@]}"
[ "${1:-}" = go ] || exit 0

for candidate in "$(command -v go || true)" /usr/local/go/bin/go; do
  if [ -n "$candidate" ] && new_enough "$candidate"; then
    echo "$candidate"
    exit 0
  fi
done

install_missing golang-1.19-go
old=/usr/lib/go-1.19/bin/go
module=golang.org/toolchain@v0.0.1-go$needed.linux-amd64
empty=$(mktemp -d)
directory=$(cd "$empty" && GOFLAGS= "$old" mod download -json "$module" |
  sed -n 's/^\t"Dir": "\(.*\)",$/\1/p')
rmdir "$empty"
if [ ! -d "$directory" ]; then
  echo "cannot fetch $module with $old; install Go $needed or later" >&2
  exit 1
fi
chmod -R u+w "$directory"
chmod +x "$directory"/bin/* "$directory"/pkg/tool/*/*
echo "$directory/bin/go"
