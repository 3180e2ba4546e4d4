# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
# Read by .venv/bin/activate: ROS 2 looks for packages in this environment too, and stays on this
# machine unless told otherwise.
case ":${AMENT_PREFIX_PATH:-}:" in
  *":$VIRTUAL_ENV:"*) ;;
  *) export AMENT_PREFIX_PATH="$VIRTUAL_ENV${AMENT_PREFIX_PATH:+:$AMENT_PREFIX_PATH}" ;;
esac
export ROS_AUTOMATIC_DISCOVERY_RANGE="${ROS_AUTOMATIC_DISCOVERY_RANGE:-LOCALHOST}"
unset _ROS_WHEELS_BOOTSTRAP_COMPLETE
