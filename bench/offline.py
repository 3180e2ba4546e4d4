# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
"""CRR and PLAS beside d3rlpy's: updates a second, and what the policies return without planning.

Both learn from the same transitions of a bag and take turns. Where d3rlpy has the setting it has
our value: widths, batch size, discount, rates of learning, tau, two critics, none distributional,
targets that follow slowly, CRR's weights and number of samples, PLAS's penalties. In PLAS half of
the updates are the autoencoder's (unless `plas.vae_updates` is set), on both sides.

What differs: CRR's policy is tanh of a Gaussian here, a clipped Gaussian around tanh there; its
advantage is of the lower critic here, of their mean there. It acts by its mean here; there by one
of `crr.num_samples` samples, drawn by their values: the return of its mean is given as well. PLAS's
decoder ends in tanh here, in nothing there. d3rlpy's slow policies begin elsewhere than its
policies. Its layer norm follows the activation and has parameters. Ours draws its batches within
the time measured; d3rlpy, which would put them together row by row, gets them whole.
"""

from __future__ import annotations

import argparse
import dataclasses
import importlib
import math
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor

from loop_ros.agent import Agent
from loop_ros.bags.reader import BagReader
from loop_ros.bench.machine import synchronize
from loop_ros.bench.report import Row
from loop_ros.cli.arguments import overrides
from loop_ros.offline.data import OfflineData
from loop_ros.offline.presets import ALGORITHMS
from loop_ros.offline.training import OfflineTraining
from loop_ros.progress import track
from loop_ros.settings import OffPolicySettings, Settings
from loop_ros.sim import registry
from loop_ros.sim.task import Task
from loop_ros.types import Array, Batch

TITLE = 'CRR and PLAS without planning'
TURN = 25  # updates timed at once
INSTALL = (
    'pip install --no-deps d3rlpy==2.8.1 dataclasses-json==0.6.7 gym==0.26.2 h5py==3.16.0 '
    'joblib==1.6.0 marshmallow==4.4.0 scikit-learn==1.9.1 scipy==1.17.1 structlog==26.1.0 '
    'threadpoolctl==3.8.0 tqdm==4.70.1 typing-inspect==0.9.0 mypy-extensions==1.2.0'
)
Act = Callable[[Array], Array]


@dataclasses.dataclass(frozen=True)
class Phase:
    """Updates that train the same networks."""

    trains: str
    updates: int


class Peer:
    """d3rlpy's algorithm of that name, on the same transitions."""

    def __init__(
        self, module: Any, task: Task, settings: Settings, batch: Batch, device: str, seed: int
    ) -> None:
        module.seed(seed)
        self.task, self.module, self.batch_size = task, module, settings.off_policy.batch_size
        self._columns = _columns(batch)
        self._generator = np.random.default_rng(seed)
        config = {'crr': _crr, 'plas': _plas}[settings.learning.algorithm](module, settings)
        self.algorithm = config.create(device=device)
        self.algorithm.create_impl((task.state_dim,), len(task.action_labels))

    def update(self) -> None:
        """One gradient step on a batch of its own."""
        index = self._generator.integers(len(self._columns['rewards']), size=self.batch_size)
        columns = {name: column[index] for name, column in self._columns.items()}
        batch = self.module.dataset.TransitionMiniBatch(
            **columns,
            next_actions=columns['actions'],  # neither algorithm looks at them
            intervals=np.ones_like(columns['rewards']),
            transitions=[],
        )
        self.algorithm.update(batch)

    def act(self, observation: Array) -> Array:
        """What it does in deployment [A], physical units; CRR draws it."""
        return self._physical(self.algorithm.predict(self._encode(observation).numpy()))

    def act_by_mean(self, observation: Array) -> Array:
        """The mean of CRR's policy [A], physical units."""
        with torch.no_grad():
            state = self._encode(observation).to(self.algorithm.impl.device)
            return self._physical(self.algorithm.impl.policy(state).squashed_mu.cpu().numpy())

    def _encode(self, observation: Array) -> Tensor:
        return self.task.encode(torch.as_tensor(observation)).float()[None]

    def _physical(self, action: Any) -> Array:
        return self.task.denormalize_action(action[0].astype(np.float64))


def run(options: argparse.Namespace) -> list[Row]:
    """A row for CRR and one for each phase of PLAS; options: those of the command."""
    torch.set_num_threads(options.num_threads)
    task = registry.task(options.task)
    data = OfflineData.from_rows(BagReader(options.bags, task).batches(), task)
    module, name = _d3rlpy()
    rows = []
    for algorithm in ('crr', 'plas'):
        settings = Settings.for_task(task, options.profile).replace(
            {
                **ALGORITHMS[algorithm],
                'plas.vae_updates': options.updates // 2,
                **overrides(options),
            }
        )
        agent = Agent(task, settings, options.device, options.seed)
        ours = OfflineTraining(agent, data, options.seed)
        peer = None
        if module is not None:
            kept = data.batch.take(~ours.held_out)
            peer = Peer(module, task, settings, kept, options.device, options.seed)
        found = train(ours, peer, phases(settings, options.updates))
        found[-1] |= evaluate(ours, peer, options.episodes, options.seed)
        rows += [{'algorithm': algorithm, **row, 'peer': name} for row in found]
    common = {
        'task': task.name,
        'bag_return': float(data.returns().mean()),
        'transitions': len(data),
        'updates_in_all': options.updates,
        'episodes': options.episodes,
        'seed': options.seed,
        'device': options.device,
        'num_threads': torch.get_num_threads(),
    }
    return [{**row, **common} for row in rows]


def phases(settings: Settings, updates: int) -> list[Phase]:
    """How so many updates are spent."""
    if settings.learning.algorithm != 'plas':
        return [Phase('actor and critics', updates)]
    first = min(settings.plas.vae_updates, updates)
    found = [Phase('autoencoder', first), Phase('policy and critics', updates - first)]
    return [phase for phase in found if phase.updates]


def train(ours: OfflineTraining, peer: Peer | None, spent: list[Phase]) -> list[Row]:
    """Both trained in turns; a row for each phase, with the medians of their rates."""
    updates: dict[str, Callable[[], object]] = {'ours': ours.update}
    if peer is not None:
        updates['peer'] = peer.update
    rows = []
    for phase in spent:
        label = f'{ours.agent.settings.learning.algorithm}, {phase.trains}'
        rates = {
            name: float(np.median(found))
            for name, found in _rates(updates, phase.updates, ours.agent.device, label).items()
        }
        peer_rate = rates.get('peer', math.nan)
        rows.append(
            {
                'trains': phase.trains,
                'updates': phase.updates,
                'ours_per_s': rates['ours'],
                'peer_per_s': peer_rate,
                'ratio': rates['ours'] / peer_rate,
            }
        )
    return rows


def evaluate(ours: OfflineTraining, peer: Peer | None, episodes: int, seed: int) -> Row:
    """Mean and standard deviation of the returns of episodes from the same starts."""
    task, nothing = ours.agent.task, np.full(episodes, math.nan)
    found = returns(task, ours.agent.act_without_planning, episodes, seed)
    others = nothing if peer is None else returns(task, peer.act, episodes, seed)
    row = {
        'ours_return': float(found.mean()),
        'ours_std': float(found.std()),
        'peer_return': float(others.mean()),
        'peer_std': float(others.std()),
        'difference': float((found - others).mean()),
        'difference_std': float((found - others).std()),  # start by start
    }
    if ours.agent.settings.learning.algorithm == 'crr':
        others = nothing if peer is None else returns(task, peer.act_by_mean, episodes, seed)
        row |= {
            'peer_mean_action_return': float(others.mean()),
            'peer_mean_action_std': float(others.std()),
        }
    return row


def returns(task: Task, act: Act, episodes: int, seed: int) -> Array:
    """The sums of rewards [E] of episodes; episode i starts from seed + i."""
    env = task.make()
    found = np.zeros(episodes)
    for episode in range(episodes):
        observation, _ = env.reset(seed=seed + episode)
        ended = False
        while not ended:
            observation, reward, terminated, truncated, _ = env.step(act(observation))
            found[episode] += float(reward)
            ended = terminated or truncated
    env.close()
    return found


def _rates(
    updates: dict[str, Callable[[], object]], count: int, device: torch.device, label: str
) -> dict[str, list[float]]:
    """Updates a second in each turn, by name."""
    rates: dict[str, list[float]] = {name: [] for name in updates}
    for done in track(range(0, count, TURN), label):
        size = min(TURN, count - done)
        for name, update in updates.items():
            synchronize(device)
            start = time.perf_counter()
            for _ in range(size):
                update()
            synchronize(device)
            rates[name].append(size / (time.perf_counter() - start))
    return rates


def _d3rlpy() -> tuple[Any, str]:
    """The module, or None, and its name, or what it takes to have it."""
    try:
        module = importlib.import_module('d3rlpy')
    except ModuleNotFoundError as error:
        return None, f'missing {error.name}: {INSTALL}'
    return module, f'd3rlpy {module.__version__}'


def _columns(batch: Batch) -> dict[str, Any]:
    """By d3rlpy's names; numbers as [N, 1]."""
    return {
        'observations': batch.state.numpy(),
        'actions': batch.action.numpy(),
        'rewards': batch.reward[:, None].numpy(),
        'next_observations': batch.next_state.numpy(),
        'terminals': batch.terminated[:, None].numpy(),
    }


def _shared(module: Any, off_policy: OffPolicySettings) -> dict[str, Any]:
    """What both algorithms have in common."""
    encoder = module.models.VectorEncoderFactory
    widths = [off_policy.width, off_policy.width]
    return {
        'batch_size': off_policy.batch_size,
        'gamma': off_policy.discount,
        'tau': off_policy.tau,
        'n_critics': 2,
        'critic_learning_rate': off_policy.learning_rate,
        'actor_encoder_factory': encoder(widths),
        'critic_encoder_factory': encoder(widths, use_layer_norm=off_policy.layer_norm),
        'compile_graph': True,  # on CUDA; without effect on a CPU
    }


def _crr(module: Any, settings: Settings) -> Any:
    crr = settings.crr
    return module.algos.CRRConfig(
        **_shared(module, settings.off_policy),
        actor_learning_rate=settings.off_policy.learning_rate,
        beta=crr.beta,
        n_action_samples=crr.num_samples,
        weight_type=crr.weights,
        max_weight=crr.max_weight,
        target_update_type='soft',
    )


def _plas(module: Any, settings: Settings) -> Any:
    plas = settings.plas
    return module.algos.PLASConfig(
        **_shared(module, settings.off_policy),
        actor_learning_rate=plas.actor_learning_rate,
        imitator_learning_rate=plas.vae_learning_rate,
        imitator_encoder_factory=module.models.VectorEncoderFactory([plas.vae_width] * 2),
        lam=plas.min_weight,
        warmup_steps=plas.vae_updates,
        beta=plas.kl_weight,
    )
