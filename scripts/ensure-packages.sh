#!/bin/bash
# Installs Debian packages that are missing, and says so first: scripts/ensure-packages.sh PACKAGE...
# A package counts as there when dpkg knows it, or when a program of its name is on the PATH.
set -euo pipefail

missing=()
for package in "$@"; do
  if command -v "$package" >/dev/null; then continue; fi
  status=$(dpkg-query -W -f '${Status}' "$package" 2>/dev/null || true)
  [[ $status == "install ok installed" ]] || missing+=("$package")
done
((${#missing[@]})) || exit 0

if ! command -v apt-get >/dev/null; then
  echo "Missing: ${missing[*]}. There is no apt-get here: install them (or what they are called on this system), and try again." >&2
  exit 1
fi
as_root=()
if [[ $EUID != 0 ]]; then
  if ! command -v sudo >/dev/null; then
    echo "Missing: ${missing[*]}. Install them as root: apt-get install ${missing[*]}" >&2
    exit 1
  fi
  as_root=(sudo)
fi

echo "==> Installing from the distribution: ${missing[*]}"
policy=/usr/sbin/policy-rc.d
log=$(mktemp)
ours=""
cleanup() {
  rm -f "$log"
  if [[ -n $ours ]]; then "${as_root[@]}" rm -f "$policy"; fi
}
trap cleanup EXIT
# Packages may not start their services while they are installed. A policy that is there already is the host's own.
if [[ ! -e $policy ]]; then
  ours=yes
  printf '#!/bin/sh\nexit 101\n' | "${as_root[@]}" tee "$policy" >/dev/null
  "${as_root[@]}" chmod 755 "$policy"
fi
apt() {
  if ! "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -y -o DPkg::Lock::Timeout=300 "$@" >"$log" 2>&1; then
    tail -n 30 "$log" >&2
    echo "apt-get $1 failed; its last lines are above." >&2
    exit 1
  fi
}
apt update
apt install --no-install-recommends "${missing[@]}"
