# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Transitions and networks without a meaning, for tests of updates on them."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from loop_ros.algorithms.sac import SAC
from loop_ros.learning.replay_buffer import ReplayBuffer
from loop_ros.models.ensemble import Ensemble
from loop_ros.models.networks import Critics
from loop_ros.models.offline_actors import make_actor
from loop_ros.models.parts import Parts
from loop_ros.settings import SacSettings, Settings
from loop_ros.types import Batch

STATES, ACTIONS = 3, 2  # numbers in a state and in an action


def random_batch(size: int = 8, seed: int = 0) -> Batch:
    """A batch [size] in which every fourth transition ends its episode."""
    generator = torch.Generator().manual_seed(seed)

    def normal(*shape: int) -> Tensor:
        return torch.randn(shape, generator=generator)

    return Batch(
        normal(size, STATES),
        normal(size, ACTIONS).tanh(),
        normal(size),
        normal(size).abs(),
        normal(size, STATES),
        (torch.arange(size) % 4 == 0).float(),
    )


def sac_settings(algorithm: str = 'sac', **changes: Any) -> Settings:
    """Settings of SAC, and by the same names those that it shares with the other algorithms."""
    own = set(SacSettings.__dataclass_fields__)
    named = {f'{"sac" if name in own else "off_policy"}.{name}': v for name, v in changes.items()}
    small = {'ensemble.width': 8, 'ensemble.num_models': 2, 'learning.algorithm': algorithm}
    return Settings().replace({**small, **named})


def random_parts(settings: Settings, states: int = STATES, actions: int = ACTIONS) -> Parts:
    """Untrained networks, by torch's own random numbers."""
    actor = make_actor(states, actions, settings)
    critic = Critics(states, actions, settings.off_policy)
    return Parts(Ensemble(states, actions, settings.ensemble), actor, critic)


def one_state(settings: Settings) -> tuple[SAC, ReplayBuffer]:
    """SAC, and actions uniform in [-1, 1], each its own reward, in a world of one state."""
    torch.manual_seed(0)
    sac = SAC(random_parts(settings, 1, 1), settings, torch.Generator().manual_seed(0))
    action, zeros = 2.0 * torch.rand(512, 1) - 1.0, torch.zeros(512)
    buffer = ReplayBuffer(512, 1, 1)
    buffer.add(Batch(zeros[:, None], action, action[:, 0], zeros, zeros[:, None], zeros))
    return sac, buffer
