#!/bin/bash
# Installs docker.io for the benchmarks, which start a daemon of their own. Where it was not there before, the machine's
# daemon stays off, also after the next boot. Without it the rows that need it say `not measured`.
set -euo pipefail

installed() { [[ $(dpkg-query -W -f '${Status}' docker.io 2>/dev/null || true) == "install ok installed" ]]; }

if installed; then exit 0; fi
if ! "$(dirname "$0")/../ensure-packages.sh" docker.io; then
  echo "docker.io cannot be had: what is measured against it is left out." >&2
  exit 0
fi
as_root=()
[[ $EUID == 0 ]] || as_root=(sudo)
# Links in /etc are all that turns a unit on; systemctl may be missing where these are.
for unit in docker.service docker.socket containerd.service; do
  "${as_root[@]}" rm -f /etc/systemd/system/{multi-user,sockets}.target.wants/"$unit"
done
"${as_root[@]}" update-rc.d docker disable >/dev/null 2>&1 || true
