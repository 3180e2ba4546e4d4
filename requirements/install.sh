#!/usr/bin/env bash
# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
# Brings .venv up to date: `install.sh run` for driving, `install.sh dev` for tests and linters too.
# Does nothing when a stamp says that the same requirements were installed before.
set -euo pipefail
cd "$(dirname "$0")/.."
tree=$PWD
level=${1:?usage: requirements/install.sh run|dev}
pip=pip==25.3 # the one Debian brings builds some packages in a way that is going away
unset _ROS_WHEELS_BOOTSTRAP_COMPLETE # set by the ROS wheels; it belongs to one environment only

fail() { printf 'loop_ros set-up: %s\n' "$*" >&2; exit 1; }

# The prefix of a sourced ROS 2 installation, or nothing. The wheels have no ros2launch.
ros_prefix() {
  local prefix
  local -a prefixes
  IFS=: read -ra prefixes <<< "${AMENT_PREFIX_PATH:-}"
  for prefix in "${prefixes[@]}"; do
    if [ -e "$prefix/share/ros2launch/package.xml" ]; then printf '%s' "$prefix"; return; fi
  done
}

# The first CPython 3.11 or 3.12 that runs and can make an environment with pip in it.
find_python() {
  local candidate check='import sys; assert (3, 11) <= sys.version_info[:2] <= (3, 12); import venv'
  # A sourced ROS 2 was built for one Python: take that one.
  [ -z "$ros" ] || check="$check; import rclpy"
  for candidate in ${PYTHON:-python3.11 python3.12 python3}; do
    "$candidate" -c "$check" 2> /dev/null || continue
    if "$candidate" -c 'import ensurepip' 2> /dev/null || "$candidate" -m pip --version > /dev/null 2>&1
    then printf '%s' "$candidate"; return; fi
  done
  fail "no usable Python found (tried: ${PYTHON:-python3.11 python3.12 python3}). It needs CPython 3.11" \
    "or 3.12 with venv${ros:+ and the rclpy of $ros}: sudo apt install python3 python3-venv" \
    "(or name one: make .venv PYTHON=/path/to/python3.12)"
}

create_venv() {
  local python options=()
  python=$(find_python)
  [ -z "$ros" ] || options+=(--system-site-packages)
  echo "loop_ros set-up: creating .venv with $("$python" --version)${ros:+, using ROS 2 from $ros}"
  if "$python" -c 'import ensurepip' 2> /dev/null; then
    "$python" -m venv --clear "${options[@]}" .venv
    pip_install --quiet "$pip"
  else # Debian without python3-venv: lend the new environment the pip of the old one
    "$python" -m venv --clear --without-pip "${options[@]}" .venv
    "$python" -m pip --python .venv/bin/python --disable-pip-version-check install --quiet "$pip"
  fi
  printf '\n. "%s/requirements/activate.sh"\n' "$tree" >> .venv/bin/activate
  # The wheels bring one middleware; an installation may have been set up for another.
  [ -n "$ros" ] || echo 'export RMW_IMPLEMENTATION=rmw_fastrtps_cpp' >> .venv/bin/activate
  printf '%s' "$base" > .venv/.base
}

pip_install() {
  .venv/bin/python -m pip --disable-pip-version-check --no-input install "$@"
}

# Without an NVIDIA driver, a wheel of torch at hand (PIP_FIND_LINKS) saves gigabytes of CUDA; where
# there is none, the plain install that follows takes what the package index has.
install_torch_at_hand() {
  local torch
  [ ! -e /proc/driver/nvidia/version ] || return 0
  torch=$(grep '^torch==' requirements/base.txt)
  pip_install --quiet --no-deps --no-index "$torch" 2> /dev/null || true
}

# The model files of the D'Claw, which nothing imports. Since 24.1 pip refuses the metadata of this
# package, so an older one installs it; without it Claw-v1 says what it lacks.
install_claw() {
  local old_pip
  old_pip=$(mktemp -d)
  pip_install --quiet --target "$old_pip" pip==24.0 &&
    PYTHONPATH=$old_pip pip_install --quiet --no-deps robel==0.1.2 ||
    echo 'loop_ros set-up: robel 0.1.2 cannot be installed here: no Claw-v1' >&2
  rm -rf "$old_pip"
}

# Messages that are in no wheel (TF, a steered vehicle's command), from the generators that are: where
# there is a C++ compiler. Without them there is no TF and no topic `drive`, and all else works.
build_messages() {
  local log
  log=$(mktemp)
  if ! { command -v cc && command -v c++; } > /dev/null; then
    echo 'loop_ros set-up: no cc and c++: no tf2_msgs and ackermann_msgs (docs/view.md)' >&2
  elif ! .venv/bin/python requirements/build_messages.py tf2_msgs ackermann_msgs > "$log" 2>&1; then
    tail -n 5 "$log" >&2
    echo 'loop_ros set-up: tf2_msgs and ackermann_msgs cannot be built here (docs/view.md)' >&2
  fi
  rm -f "$log"
}

install_packages() {
  local files=(-r requirements/base.txt -r requirements/sim.txt -r requirements/panel.txt)
  [ -n "$ros" ] || files+=(-r requirements/ros.txt)
  [ "$level" = run ] || files+=(-r requirements/dev.txt -r requirements/examples.txt -r requirements/ray.txt \
    -r requirements/docs.txt)
  install_torch_at_hand
  pip_install --no-warn-conflicts "${files[@]}" # safety-gymnasium would be one
  pip_install --quiet --no-deps -r requirements/no_deps.txt
  install_claw
  pip_install --quiet --no-deps --no-build-isolation --editable .
  [ -n "$ros" ] || pip_install --quiet --no-deps --no-build-isolation --editable standalone
  [ -n "$ros" ] || build_messages
}

# An editable install leaves the ROS side of the package out: link it file by file, as colcon does
# (ros2 launch does not follow a linked folder), so that edits take effect at once.
link_share() {
  local node share=.venv/share/loop_ros index=.venv/share/ament_index/resource_index/packages
  mkdir -p "$share/launch" "$share/config/view" "$index" .venv/lib/loop_ros
  ln -sf "$tree/package.xml" "$share/"
  ln -sf "$tree"/launch/*.launch.* "$share/launch/"
  ln -sf "$tree"/config/*.yaml "$share/config/"
  ln -sf "$tree"/config/view/* "$share/config/view/"
  ln -sf "$tree/resource/loop_ros" "$index/"
  for node in planner_node fleet_planner_node learner_node bridge_node robot_node panel_node loop-ros; do
    ln -sf "../../bin/$node" .venv/lib/loop_ros/
  done
}

ros=$(ros_prefix)
key=$(cat $(find requirements -type f | sort) setup.py setup.cfg standalone/pyproject.toml \
  <(printf '%s\n' "$tree" "$ros") | sha256sum | cut -d ' ' -f 1)
for done_level in "$level" dev; do
  if [ -e ".venv/.$done_level-$key" ]; then
    link_share # a launch file may be new
    exit 0
  fi
done
# An environment does not survive a moved tree, another ROS 2 or a vanished Python: start again then.
base="$tree|$ros"
if [ "$(cat .venv/.base 2> /dev/null)" != "$base" ] || ! .venv/bin/python -m pip --version > /dev/null 2>&1
then create_venv; fi
install_packages
link_share
rm -f .venv/.run-* .venv/.dev-*
touch ".venv/.$level-$key"
echo "loop_ros set-up: .venv is ready"
