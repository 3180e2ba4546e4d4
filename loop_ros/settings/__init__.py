# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Every setting of the core: frozen, validated, documented; the only reader of profiles.

The defaults are the paper's Tables 2 and 3 with the horizon and iterations of its safe tasks
(appendix C.4). A profile is a YAML file with the sections below that overrides some of them.
"""

from loop_ros.settings.learning import (
    CrrSettings,
    EnsembleSettings,
    LearningSettings,
    MbopSettings,
    ModelRolloutSettings,
    OffPolicySettings,
    PlasSettings,
    SacSettings,
)
from loop_ros.settings.planner import PlannerSettings
from loop_ros.settings.settings import Settings

__all__ = [
    'CrrSettings',
    'EnsembleSettings',
    'LearningSettings',
    'MbopSettings',
    'ModelRolloutSettings',
    'OffPolicySettings',
    'PlannerSettings',
    'PlasSettings',
    'SacSettings',
    'Settings',
]
