# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Gradient steps a second: SAC against stable-baselines3, the ensemble against a loop of networks.

Both learn from the same amount of data, drawn again at each step, and take turns in time.
"""

from __future__ import annotations

import argparse
import importlib
import math
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from loop_ros.algorithms.sac import SAC
from loop_ros.bench.planner import prepare
from loop_ros.bench.report import Row
from loop_ros.bench.timing import percentiles, take_turns
from loop_ros.learning.ensemble_trainer import EnsembleTrainer
from loop_ros.learning.replay_buffer import ReplayBuffer
from loop_ros.models.ensemble import Ensemble, soft_clamp
from loop_ros.models.networks import Actor, Critics
from loop_ros.models.parts import Parts
from loop_ros.settings import EnsembleSettings, OffPolicySettings, Settings
from loop_ros.types import Batch

TITLE = 'Gradient steps a second'
STEPS = 10  # timed at once
TRANSITIONS = 10_000
HALF_CHEETAH, DRIFT_CAR = (17, 6), (6, 2)  # state and action dimensions
Step = Callable[[], object]


def run(options: argparse.Namespace) -> list[Row]:
    """A row for each size; options: device, num_threads, seconds (of a row)."""
    device = prepare(options)
    return [
        _sac_row(HALF_CHEETAH, {}, device, options.seconds),
        _sac_row(DRIFT_CAR, {'width': 128, 'layer_norm': True}, device, options.seconds),
        _ensemble_row(HALF_CHEETAH, EnsembleSettings(), device, options.seconds),
        _ensemble_row(
            DRIFT_CAR, EnsembleSettings(num_layers=2, width=128), device, options.seconds
        ),
    ]


def _sac_row(
    sizes: tuple[int, int], changes: dict[str, Any], device: torch.device, seconds: float
) -> Row:
    settings = OffPolicySettings(**changes)
    norm = ', layer norm' if settings.layer_norm else ''
    size = f'2x{settings.width}{norm}, states {sizes[0]}, actions {sizes[1]}'
    try:
        module = importlib.import_module('stable_baselines3')
    except ModuleNotFoundError:
        peer, name = None, 'missing: pip install stable-baselines3'
    else:
        peer = _sb3_steps(module, sizes, settings, device)
        name = f'stable-baselines3 {module.__version__}'
        name += ', no layer norm' if settings.layer_norm else ''
    return _row('sac', size, sac_steps(sizes, settings, device), name, peer, device, seconds)


def _ensemble_row(
    sizes: tuple[int, int], settings: EnsembleSettings, device: torch.device, seconds: float
) -> Row:
    size = f'{settings.num_models} of {settings.num_layers}x{settings.width}, '
    size += f'states {sizes[0]}, actions {sizes[1]}'
    ours, peer = ensemble_steps(sizes, settings, device), NetworkLoop(sizes, settings, device)
    return _row('ensemble', size, ours, 'loop over networks', peer, device, seconds)


def _row(
    what: str,
    size: str,
    ours: Step,
    peer_name: str,
    peer: Step | None,
    device: torch.device,
    seconds: float,
) -> Row:
    """Steps a second by the medians of turns that fill about so many seconds."""
    runs: dict[str, Step] = {'ours': ours} | ({'peer': peer} if peer else {})
    start = time.perf_counter()
    take_turns(runs, 1, device, f'{what}, warm-up')
    turn = (time.perf_counter() - start) / 4  # it also warms up, three times
    times = take_turns(runs, max(5, round(seconds / turn)), device, f'{what}, {size}')
    rates = {name: 1e3 * STEPS / percentiles(values)[0] for name, values in times.items()}
    return {
        'what': what,
        'size': size,
        'device': str(device),
        'num_threads': torch.get_num_threads(),
        'ours_per_s': rates['ours'],
        'peer': peer_name,
        'peer_per_s': rates.get('peer', math.nan),
        'ratio': rates['ours'] / rates['peer'] if peer else math.nan,
    }


def sac_steps(sizes: tuple[int, int], settings: OffPolicySettings, device: torch.device) -> Step:
    """`STEPS` updates, each with a batch of its own."""
    torch.manual_seed(0)
    states, actions = sizes
    whole = Settings(off_policy=settings)
    parts = Parts(
        Ensemble(states, actions, whole.ensemble),
        Actor(states, actions, settings.width),
        Critics(states, actions, settings),
    )
    for network in parts:
        network.to(device)
    generator = torch.Generator(device).manual_seed(0)
    sac = SAC(parts, whole, generator)
    buffer = ReplayBuffer(TRANSITIONS, states, actions, str(device))
    buffer.add(_experience(states, actions))

    def steps() -> None:
        for _ in range(STEPS):
            sac.update(buffer.sample(settings.batch_size, generator))

    return steps


def _sb3_steps(
    module: Any, sizes: tuple[int, int], settings: OffPolicySettings, device: torch.device
) -> Step:
    """The same number of gradient steps of stable-baselines3's SAC, its networks as wide."""
    gymnasium = importlib.import_module('gymnasium')
    states, actions = sizes

    class Space(gymnasium.Env):  # type: ignore[name-defined]
        """Nothing but the sizes: no step is taken."""

        observation_space = gymnasium.spaces.Box(-np.inf, np.inf, (states,), np.float32)
        action_space = gymnasium.spaces.Box(-1.0, 1.0, (actions,), np.float32)

    sac = module.SAC(
        'MlpPolicy',
        Space(),
        learning_rate=settings.learning_rate,
        buffer_size=TRANSITIONS,
        batch_size=settings.batch_size,
        tau=settings.tau,
        gamma=settings.discount,
        policy_kwargs={'net_arch': [settings.width] * 2},
        seed=0,
        device=device,
    )
    sac.set_logger(module.common.logger.Logger(None, []))
    for state, action, reward, _, next_state, terminated in zip(
        *(part.numpy() for part in _experience(states, actions)), strict=True
    ):
        sac.replay_buffer.add(
            state, next_state, action, np.array([reward]), np.array([terminated]), [{}]
        )
    return lambda: sac.train(STEPS, settings.batch_size)


def ensemble_steps(
    sizes: tuple[int, int], settings: EnsembleSettings, device: torch.device
) -> Step:
    """An epoch of `STEPS` full batches a model."""
    torch.manual_seed(0)
    ensemble = Ensemble(*sizes, settings).to(device)
    trainer = EnsembleTrainer(ensemble, settings, torch.Generator(device).manual_seed(0))
    data = _normalised(sizes, settings, device)
    return lambda: trainer._epoch(data)


class NetworkLoop:
    """The ensemble as it is usually written: networks and optimisers one after the other."""

    def __init__(
        self, sizes: tuple[int, int], settings: EnsembleSettings, device: torch.device
    ) -> None:
        torch.manual_seed(0)
        self.noisy, self.batch_size = sizes[0] + 1, settings.batch_size
        self.data = _normalised(sizes, settings, device)
        self.generator = torch.Generator(device).manual_seed(0)
        self.members = [
            self._member(sum(sizes), settings, device) for _ in range(settings.num_models)
        ]

    def _member(
        self, inputs: int, settings: EnsembleSettings, device: torch.device
    ) -> tuple[nn.Module, list[Tensor], torch.optim.Optimizer]:
        widths = [inputs] + [settings.width] * settings.num_layers
        layers: list[nn.Module] = []
        for a, b in zip(widths[:-1], widths[1:], strict=True):
            layers += [nn.Linear(a, b), nn.SiLU()]
        network = nn.Sequential(*layers, nn.Linear(widths[-1], 2 * self.noisy + 1)).to(device)
        low, high = (
            torch.full((self.noisy,), value, device=device, requires_grad=True)
            for value in (-10.0, 0.5)
        )
        optimizer = torch.optim.AdamW(
            [*network.parameters(), low, high],
            lr=settings.learning_rate,
            weight_decay=settings.weight_decay,
        )
        return network, [low, high], optimizer

    def __call__(self) -> None:
        """`STEPS` steps of each network."""
        x, target, cost = self.data
        for network, bounds, optimizer in self.members:
            order = torch.randperm(len(x), generator=self.generator, device=x.device)
            for index in order.split(self.batch_size):
                loss = self._loss(network(x[index]), bounds, target[index], cost[index])
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()

    def _loss(self, out: Tensor, bounds: list[Tensor], target: Tensor, cost: Tensor) -> Tensor:
        low, high = bounds
        mean, log_var = out[:, : self.noisy], soft_clamp(out[:, self.noisy : -1], low, high)
        likelihood = ((mean - target) ** 2 * torch.exp(-log_var) + log_var).mean()
        penalty = 0.01 * (high.sum() - low.sum())
        return likelihood + functional.mse_loss(out[:, -1], cost) + penalty


def _normalised(
    sizes: tuple[int, int], settings: EnsembleSettings, device: torch.device
) -> list[Tensor]:
    """Inputs, targets and costs of `STEPS` full batches."""
    states, actions = sizes
    size = STEPS * settings.batch_size
    data = torch.randn(size, states + actions), torch.randn(size, states + 1), torch.rand(size)
    return [part.to(device) for part in data]


def _experience(states: int, actions: int) -> Batch:
    return Batch(
        torch.randn(TRANSITIONS, states),
        torch.rand(TRANSITIONS, actions) * 2 - 1,
        torch.randn(TRANSITIONS),
        torch.zeros(TRANSITIONS),
        torch.randn(TRANSITIONS, states),
        torch.zeros(TRANSITIONS),
    )
