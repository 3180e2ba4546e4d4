#!/usr/bin/env bash
# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
# Brings .venv-omnisafe up to date: OmniSafe beside .venv, in an environment of its own that also sees
# the packages of .venv. So both have the same torch and simulators, and .venv keeps its versions.
set -euo pipefail
cd "$(dirname "$0")/.."
venv=.venv-omnisafe
key=$(cat requirements/omnisafe.* .venv/pyvenv.cfg | sha256sum | cut -d ' ' -f 1)
[ ! -e "$venv/.done-$key" ] || exit 0

echo "loop_ros set-up: creating $venv"
.venv/bin/python -m venv --clear --without-pip "$venv"
packages=$("$venv/bin/python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')
.venv/bin/python -c 'import site
for path in site.getsitepackages():
    print(f"import site; site.addsitedir({path!r})")' > "$packages/loop_ros_venv.pth"
.venv/bin/python -m pip --python "$venv/bin/python" --disable-pip-version-check --no-input \
  install --quiet --no-deps -r requirements/omnisafe.txt
"$venv/bin/python" -c 'from loop_ros.cli import omnisafe_child; omnisafe_child.register()'
touch "$venv/.done-$key"
echo "loop_ros set-up: $venv is ready"
