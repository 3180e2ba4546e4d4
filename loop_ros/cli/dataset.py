# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
"""loop-ros dataset: bags of random, medium, medium-replay and medium-expert data, as D4RL has them.

Policies act by their own noise, without planning: what is learned from the bags is to be compared
with what made them.
"""

from __future__ import annotations

import argparse
import dataclasses
import itertools
from collections.abc import Iterable, Iterator
from pathlib import Path

import torch
from rich.console import Console
from torch import Tensor

from loop_ros import checkpoint
from loop_ros.agent import Agent
from loop_ros.cli.recordings import reader, task_of
from loop_ros.progress import track
from loop_ros.settings import Settings
from loop_ros.sim.simulation import step
from loop_ros.sim.task import Task
from loop_ros.types import Array, Batch, Transition

STEPS = 100_000
SOURCES = {'random': 0, 'medium': 1, 'medium-replay': 1, 'medium-expert': 2}


def run(options: argparse.Namespace) -> int:
    """Run the command; returns its exit code."""
    from loop_ros.bags.writer import BagWriter  # brings the writers of bag formats with it

    task = task_of(options)
    wanted = SOURCES.get(options.kind)
    if wanted is None and not options.sources:
        raise ValueError('--from: name the HDF5 files or bags to import')
    if wanted is not None and len(options.sources) != wanted:
        raise ValueError(f'--kind {options.kind}: --from takes {wanted} runs')
    if options.robot is not None and options.kind != 'import':
        raise ValueError('--robot is for the bags of --kind import')
    torch.set_num_threads(1)
    count, total = 0, options.steps
    if total is None and options.kind in ('random', 'medium', 'medium-expert'):
        total = STEPS
    bags = reader(options.sources, task, options.robot) if options.robot else None
    with BagWriter(options.out, task) as bag:
        if bags is not None:
            found: Iterator[Transition] = itertools.islice(bags, total)
        else:
            found = transitions(
                task, options.kind, options.sources, total, options.seed, options.profile
            )
        for transition in track(found, options.kind, total):
            bag.write(transition)
            count += 1
        if not count:
            named = ', '.join(map(str, options.sources))
            raise ValueError(f"no transition of task '{task.name}' in {named}")
    said = [f'{options.out}: {count} transitions', *([bags.summary.describe()] if bags else [])]
    Console(stderr=True).print('\n'.join(said), highlight=False, markup=False)
    return 0


def transitions(
    task: Task,
    kind: str,
    sources: list[Path],
    steps: int | None,
    seed: int = 0,
    profile: str | None = None,
) -> Iterator[Transition]:
    """The transitions of a kind of data, at most `steps`."""
    if kind == 'random':
        agent = Agent(task, Settings.for_task(task, profile), seed=seed)
        return driven(agent, steps or STEPS, seed)
    if kind == 'medium-replay':
        return itertools.islice(replayed(sources[0], task), steps)
    if kind == 'import':
        from loop_ros.offline import hdf5

        return itertools.islice(_numbered(hdf5.read(file, task) for file in sources), steps)
    parts, each = [], -(-(steps or STEPS) // len(sources))
    for number, source in enumerate(sources):
        path = checkpoint.resolve(str(source), task.name)
        if path is None:
            raise ValueError('--from: name a run or a checkpoint')
        agent = Agent.load(path, task, seed=seed + number, resume=False)
        parts.append(driven(agent, each, seed + 1_000_000 * number))
    return itertools.islice(_numbered(parts), steps)


def driven(agent: Agent, steps: int, seed: int) -> Iterator[Transition]:
    """`steps` steps of the actor with its own noise; the last episode is cut there."""
    env = agent.task.make()
    generator = torch.Generator().manual_seed(seed)
    done, episode = 0, 0
    while done < steps:
        observation, _ = env.reset(seed=seed + episode)
        ended, number = False, 0
        while not ended and done < steps:
            action = _sampled(agent, observation, generator)
            stamp = number * agent.task.control_period
            transition = step(env, observation, action, episode, number, stamp)
            done, number = done + 1, number + 1
            if done == steps and not transition.terminated:
                transition = dataclasses.replace(transition, truncated=True)
            yield transition
            observation = transition.next_observation
            ended = transition.terminated or transition.truncated
        episode += 1
    env.close()


def replayed(run_folder: Path, task: Task) -> Iterator[Transition]:
    """What is in the replay buffer of a run's checkpoint, oldest first.

    The buffer holds states: they become observations that encode to them. ValueError where the
    checkpoint has no buffer, or its task no way back.
    """
    path = checkpoint.resolve(str(run_folder), task.name)
    files, metadata = checkpoint.read(path) if path else ({}, {})
    tensors = checkpoint.unpack(files['training'], str(path))[0] if 'training' in files else {}
    rows = tensors.get('buffer.rows')
    if rows is None or len(rows) == 0:
        raise ValueError(f'{run_folder}: no replay buffer in it; give the --out of an experiment')
    if metadata.get('task') != task.name:
        raise ValueError(f'{run_folder}: of task {metadata.get("task")!r}, not {task.name!r}')
    batch = Batch.from_table(rows, task.state_dim, len(task.action_labels))
    observation, next_observation = (
        _observations(task, s) for s in (batch.state, batch.next_state)
    )
    action = task.denormalize_action(batch.action.double().numpy())
    continues = (batch.state[1:] == batch.next_state[:-1]).all(dim=1) & (batch.terminated[:-1] == 0)
    continues = torch.cat((continues, torch.zeros(1, dtype=torch.bool)))
    episode = step = 0
    for row in range(len(rows)):
        terminated, following = bool(batch.terminated[row]), bool(continues[row])
        # A state that was reached by chance where the last episode had ended is no sign of one.
        following = following and step + 1 < task.max_episode_steps
        yield Transition(
            step * task.control_period,
            episode,
            step,
            observation[row],
            action[row],
            float(batch.reward[row]),
            float(batch.cost[row]),
            next_observation[row],
            terminated,
            not terminated and not following,
        )
        episode, step = (episode, step + 1) if following else (episode + 1, 0)


def _observations(task: Task, states: Tensor) -> Array:
    """Observations [N, O] that encode to states [N, S]; ValueError where they do not."""
    wide = states.double()
    observation = wide if task.decode is None else task.decode(wide)
    if observation.shape[-1] == len(task.observation_labels):
        encoded = task.encode(observation)
        if encoded.shape == wide.shape and bool((encoded - wide).abs().max() < 1e-4):
            return observation.numpy()
    raise ValueError(
        f"task '{task.name}' has no way from a state back to an observation; make its bags by "
        'recording'
    )


def _sampled(agent: Agent, observation: Array, generator: torch.Generator) -> Array:
    """An action [A] of the policy's own noise, physical units."""
    state = agent.task.encode(torch.as_tensor(observation, dtype=torch.float64)).float()
    noise = torch.randn(len(agent.task.action_labels), generator=generator)
    with torch.inference_mode():
        action = agent.actor.act(state, noise)
    return agent.task.denormalize_action(action.double().numpy())


def _numbered(parts: Iterable[Iterator[Transition]]) -> Iterator[Transition]:
    """Parts one after the other, with episodes numbered through."""
    first = 0
    for part in parts:
        last = -1
        for transition in part:
            last = transition.episode
            yield dataclasses.replace(transition, episode=first + last)
        first += last + 1
