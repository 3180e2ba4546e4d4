# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What is known while a launch file is carried out: configurations, environment, place."""

from dataclasses import dataclass, field
from pathlib import Path


@dataclass
class Context:
    """The state that actions change and substitutions read.

    configurations: launch configurations by name, all text; environment: of the nodes to start;
    file: the launch file being carried out.
    """

    file: Path
    configurations: dict[str, str] = field(default_factory=dict)
    environment: dict[str, str] = field(default_factory=dict)
