# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A plan on static memory equals Planner.plan; nothing in it waits for the device; fall-backs."""

from __future__ import annotations

import dataclasses
import warnings
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from loop_ros.models.ensemble import Ensemble
from loop_ros.models.networks import Actor, Critics
from loop_ros.models.parts import Parts
from loop_ros.models.planning_ensemble import PlanningEnsemble, Trajectory
from loop_ros.planning import graph
from loop_ros.planning.graph import BACKENDS, EAGER, GraphedPlanner, LiveSettings, StaticPlan
from loop_ros.planning.planner import Planner
from loop_ros.planning.rollout import Rollout
from loop_ros.planning.search import Solution
from loop_ros.settings import EnsembleSettings, OffPolicySettings, PlannerSettings
from loop_ros.sim.drift_car import TASK

CPU = torch.device('cpu')
STATE, ACTION = 3, 2
SETTINGS = PlannerSettings(
    horizon=3, num_samples=12, num_particles=2, num_iterations=3, min_safe=2, actor_fraction=0.2,
    initial_std=0.3, temperature=0.7, d0=0.9, pessimism=0.3, rollout_dtype='float32',
)  # fmt: skip
STATES = torch.linspace(-1.0, 1.0, 12).view(4, STATE)


def make(kind: Any = Planner, device: str = 'cpu') -> Any:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        parts = Parts(
            Ensemble(STATE, ACTION, EnsembleSettings(num_models=2, num_layers=2, width=8)),
            Actor(STATE, ACTION, 8),
            Critics(STATE, ACTION, OffPolicySettings(width=8, layer_norm=True)),
        )
    for network in parts:
        network.to(device)
    task = dataclasses.replace(TASK, cost=lambda s: s[..., 0].abs())
    return kind(Rollout(parts, task), torch.Generator().manual_seed(0))


def static_plan(planner: Planner, settings: PlannerSettings = SETTINGS) -> StaticPlan:
    return StaticPlan(planner, STATES[0], settings)


def assert_same(ours: Any, theirs: Any) -> None:
    for name, mine, other in zip(ours._fields, ours, theirs, strict=True):
        if isinstance(mine, Tensor):
            assert torch.equal(mine, other), name
        elif isinstance(mine, tuple):
            assert_same(mine, other)
        else:
            assert mine == other


@pytest.mark.parametrize('algorithm', ['arc', 'safe_arc', 'cem', 'safe_cem'])
@pytest.mark.parametrize('terminal_value', ['q', 'v', 'none'])
def test_a_plan_on_static_memory_equals_the_planner(algorithm: str, terminal_value: str) -> None:
    """Bit for bit, over several plans: the warm start, the random numbers, the live settings."""
    settings = dataclasses.replace(SETTINGS, algorithm=algorithm, terminal_value=terminal_value)
    planner = make()
    with torch.inference_mode():
        static = static_plan(make(), settings)
        for state in STATES:
            assert_same(static(state, settings), planner.plan(state, settings))


CHANGES: dict[str, float] = {
    'd0': 0.1, 'temperature': 2.5, 'initial_std': 0.7, 'mean_update': 0.9, 'variance_update': 0.8,
    'min_safe': 13, 'pessimism': 2.0, 'actor_noise': 0.2,
}  # fmt: skip


@pytest.mark.parametrize('name', graph.LIVE)
def test_live_settings_reach_a_plan_that_is_already_made(name: str) -> None:
    base = dataclasses.replace(SETTINGS, d0=100.0)  # all are safe
    changed = dataclasses.replace(base, **{name: CHANGES[name]})
    planner, unchanged = make(), make()
    with torch.inference_mode():
        static = static_plan(make(), base)
        for settings in (base, changed):
            ours = static(STATES[1], settings)
            assert_same(ours, planner.plan(STATES[1], settings))
            without = unchanged.plan(STATES[1], base)
    assert not torch.equal(without.sequence, ours.sequence), 'the case must show a difference'


def test_every_setting_is_live_or_leads_to_a_capture_of_its_own() -> None:
    """So none can change without the plan taking notice."""
    names = {field.name for field in dataclasses.fields(PlannerSettings)}
    assert set(graph.LIVE) | set(graph.ELSEWHERE) <= names
    assert not set(graph.LIVE) & set(graph.ELSEWHERE)
    live: Any = LiveSettings(SETTINGS, CPU)
    live.update(SETTINGS)
    for name in names - set(graph.ELSEWHERE):
        assert float(live.d0) == pytest.approx(0.9)
        if name not in graph.LIVE:
            assert getattr(live, name) == getattr(SETTINGS, name)


class NoHost(TorchDispatchMode):
    """Fails on what a CUDA graph cannot hold: reading a number, and writing one from the host."""

    READING = ('_local_scalar_dense', 'nonzero', 'masked_select', 'equal', 'is_nonzero', '_unique2')
    WRITING = ('index_put_', 'lift_fresh')  # on CUDA these copy a number that they are given

    def __init__(self) -> None:
        super().__init__()
        self.seen = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.seen += 1
        name = func.overloadpacket.__name__
        assert name not in (*self.READING, *self.WRITING), name
        result = func(*args, **(kwargs or {}))
        values = [*args, *(kwargs or {}).values(), result]
        assert {v.device.type for v in values if isinstance(v, Tensor)} <= {'meta'}, name
        return result


@pytest.mark.parametrize(
    'waits',
    [
        lambda x: x.sum().item(),
        lambda x: bool((x > 0).any()),
        lambda x: x[x > 0],
        lambda x: x + torch.tensor(1.0),
        lambda x: x.cpu(),
        lambda x: x.index_put_((torch.zeros(1, dtype=torch.long, device='meta'),), x[0]),
    ],
)
def test_the_guard_below_sees_what_waits(waits: Any) -> None:
    with pytest.raises((AssertionError, RuntimeError)), NoHost():
        waits(torch.zeros(3, device='meta'))


@pytest.mark.parametrize(
    ('algorithm', 'unit'),
    [
        ('arc', 'return'), ('arc', 'lead'), ('safe_arc', 'return'), ('safe_arc', 'lead'),
        ('cem', 'return'), ('safe_cem', 'return'),
    ],
)  # fmt: skip
@pytest.mark.parametrize('terminal_value', ['q', 'v', 'none'])
def test_a_plan_never_waits_for_the_device(
    algorithm: str, unit: str, terminal_value: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a device whose numbers nobody can read."""
    settings = dataclasses.replace(
        SETTINGS,
        algorithm=algorithm,
        temperature_unit=unit,
        terminal_value=terminal_value,
        critic='min',
    )
    planner = make(device='meta')
    planner.normal = lambda *shape: torch.randn(shape, device='meta')  # it has no generators
    with torch.inference_mode():
        static = StaticPlan(planner, torch.zeros(STATE, device='meta'), settings)
        static._run()  # what is made once is made outside a capture
        monkeypatch.delattr(torch, 'tensor')  # would copy numbers unseen
        with NoHost() as guard:
            solution = static._run()
    assert solution.sequence.device.type == 'meta'
    assert guard.seen > 100


# --- the choice of a backend ---


def test_where_nothing_else_works_plans_are_eager_and_warnings_say_why() -> None:
    planner, reference = make(GraphedPlanner), make()
    with pytest.warns(UserWarning) as told:
        first = planner.plan(STATES[0], SETTINGS)
    texts = [str(warning.message) for warning in told]
    assert [text.split(' is not used: ')[0] for text in texts] == [
        backend.name for backend in BACKENDS[:2]
    ]
    assert planner.backend is EAGER
    assert_same(first, reference.plan(STATES[0], SETTINGS))
    with warnings.catch_warnings():
        warnings.simplefilter('error')
        for state in STATES:
            assert_same(planner.plan(state, SETTINGS), reference.plan(state, SETTINGS))


def timing(times: dict[Any, float]) -> Any:
    """Plans as often as the real measurement does, but tells these times."""
    real = GraphedPlanner._time

    def time(self: GraphedPlanner, way: Any, state: Tensor, settings: PlannerSettings) -> float:
        real(self, way, state, settings)
        return times[way]

    return time


@pytest.fixture
def captures(monkeypatch: pytest.MonkeyPatch) -> list[StaticPlan]:
    """Captures that succeed, as on a GPU; the plan on static memory then runs eagerly."""
    made: list[StaticPlan] = []
    monkeypatch.setattr(StaticPlan, 'capture', lambda self: made.append(self))
    fused = BACKENDS[0]._replace(copy=PlanningEnsemble)
    monkeypatch.setattr(graph, 'BACKENDS', (fused, *BACKENDS[1:]))
    return made


@pytest.mark.parametrize('fastest', ['fused', 'graph', 'eager'])
def test_the_fastest_way_is_taken_and_plans_the_same(
    fastest: str, captures: list[StaticPlan], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Trying the backends out takes no random numbers, and leaves no warm start."""
    backends = dict(zip(('fused', 'graph', 'eager'), graph.BACKENDS, strict=True))
    times = {b: 0.001 if name == fastest else 0.002 for name, b in backends.items()}
    monkeypatch.setattr(GraphedPlanner, '_time', timing(times))
    planner, reference = make(GraphedPlanner), make()
    for state in STATES:
        assert_same(planner.plan(state, SETTINGS), reference.plan(state, SETTINGS))
    assert planner.backend is backends[fastest]
    for forget in (lambda p: p.skip(1), lambda p: p.reset()):
        forget(planner)
        forget(reference)
        assert_same(planner.plan(STATES[0], SETTINGS), reference.plan(STATES[0], SETTINGS))


def test_only_settings_that_are_not_live_capture_anew(
    captures: list[StaticPlan], monkeypatch: pytest.MonkeyPatch
) -> None:
    fast = dict(zip(graph.BACKENDS, (0.001, 0.002, 0.003), strict=True))
    monkeypatch.setattr(GraphedPlanner, '_time', timing(fast))
    planner = make(GraphedPlanner)
    planner.plan(STATES[0], SETTINGS)
    before = len(captures)
    for name in graph.LIVE:
        planner.plan(STATES[1], dataclasses.replace(SETTINGS, **{name: CHANGES[name]}))
    planner.plan(STATES[1], dataclasses.replace(SETTINGS, exploration_std=0.5))
    assert len(captures) == before
    for algorithm in ('arc', 'cem', 'arc'):
        planner.plan(STATES[1], dataclasses.replace(SETTINGS, algorithm=algorithm))
    assert len(captures) == before + 2


def test_a_time_budget_sets_the_iterations_by_the_time_of_a_plan(
    captures: list[StaticPlan], monkeypatch: pytest.MonkeyPatch
) -> None:
    """3 iterations and the evaluation take 4 ms here."""
    monkeypatch.setattr(GraphedPlanner, '_time', timing(dict.fromkeys(graph.BACKENDS, 0.004)))
    planner = make(GraphedPlanner)
    run = [
        planner.plan(STATES[0], dataclasses.replace(SETTINGS, time_budget=budget)).iterations
        for budget in (0.0, 1.0, 0.0035, 0.0001)
    ]
    assert run == [3, 3, 2, 1]


class Wrong(PlanningEnsemble):
    """Drives off by itself."""

    def roll(self, *arguments: Any) -> Trajectory:
        path, rewards, costs = super().roll(*arguments)
        return Trajectory(path, rewards + path[..., 0], costs)


def test_a_rollout_that_scores_otherwise_is_not_used(
    captures: list[StaticPlan], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(graph, 'BACKENDS', (BACKENDS[0]._replace(copy=Wrong), *BACKENDS[1:]))
    fast = dict(zip(graph.BACKENDS, (0.001, 0.002, 0.003), strict=True))
    monkeypatch.setattr(GraphedPlanner, '_time', timing(fast))
    planner = make(GraphedPlanner)
    with pytest.warns(UserWarning, match='fused rollout is not used: its scores'):
        planner.plan(STATES[0], SETTINGS)
    assert planner.backend is BACKENDS[1]


def test_a_graph_that_plans_otherwise_is_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    """A capture that leaves the candidates' random numbers behind, say."""

    def capture(self: StaticPlan) -> None:
        self._planner._start.add_(0.5)

    monkeypatch.setattr(StaticPlan, 'capture', capture)
    planner = make(GraphedPlanner)
    with pytest.warns(UserWarning, match='one CUDA graph is not used: its plan'):
        planner.plan(STATES[0], SETTINGS)
    assert planner.backend is EAGER


def test_too_little_memory_names_the_settings_that_help(monkeypatch: pytest.MonkeyPatch) -> None:
    def plan(*arguments: Any) -> Solution:
        raise torch.OutOfMemoryError('CUDA out of memory. Tried to allocate 80.00 GiB.')

    monkeypatch.setattr(Planner, 'plan', plan)
    with (
        pytest.warns(UserWarning, match='is not used: CUDA out of memory'),
        pytest.raises(RuntimeError, match='12 sequences .* lower planner.num_samples'),
    ):
        make(GraphedPlanner).plan(STATES[0], SETTINGS)
