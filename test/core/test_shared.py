# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Robots whose threads share passes plan as each would alone."""

from __future__ import annotations

import functools
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
import tiny
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from stack import until
from tiny import OBSERVATION, TASK

from loop_ros.agent import Agent
from loop_ros.planning import shared
from loop_ros.planning.search import plan_together
from loop_ros.types import Array, Plan

D0S = (0.0, 0.5, 5.0)
STEPS = 3


@functools.cache
def weights(seed: int) -> bytes:
    return tiny.trained(seed=seed).weights()


def robot(seed: int, d0: float = 0.0, of: int = 0, **changes: Any) -> Agent:
    """An agent with its own copy of weights number `of`, its own random numbers and threshold."""
    agent = Agent(TASK, tiny.settings(), seed=seed)
    agent.load_weights(weights(of))
    return tiny.configured(agent, d0=d0, algorithm='safe_arc', **changes)


def fleet(**changes: Any) -> list[Agent]:
    """Three of the same weights, and one of others."""
    same = [robot(seed, d0, **changes) for seed, d0 in enumerate(D0S)]
    return [*same, robot(len(same), of=1, **changes)]


def joined(agents: list[Agent]) -> list[Agent]:
    passes = shared.SharedPasses()
    for agent in agents:
        agent.planner = passes.join(agent.planner)
    return agents


def observation(number: int, step: int) -> Array:
    noise = np.random.default_rng((number, step)).normal(0.0, 0.1, len(OBSERVATION))
    return OBSERVATION + noise


def drive(agent: Agent, number: int, pauses: tuple[float, ...] = (0.0,) * STEPS) -> list[Plan]:
    plans = []
    for step, pause in enumerate(pauses):
        time.sleep(pause)
        plans.append(agent.act(observation(number, step), explore=True, predict_next=True))
    return plans


def assert_same(ours: Plan, theirs: Plan) -> None:
    """But for the rounding of products of other sizes."""
    assert ours.d0 == theirs.d0
    for name in ('sequence', 'states', 'runner_up', 'next_state'):
        np.testing.assert_allclose(getattr(ours, name), getattr(theirs, name), atol=1e-4)
    for name in ('predicted_return', 'worst_cost', 'safe_fraction'):
        assert getattr(ours, name) == pytest.approx(getattr(theirs, name), rel=1e-3, abs=1e-4)


class Held:
    """Passes as they are, but each waits until it is let go; their sizes are kept."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.sizes: list[int] = []
        self.may_go = threading.Event()
        monkeypatch.setattr(shared, 'plan_together', self._plan)

    def _plan(self, planners: Any, *rest: Any) -> Any:
        self.sizes.append(len(planners))
        assert self.may_go.wait(30)
        return plan_together(planners, *rest)


@pytest.fixture
def held(monkeypatch: pytest.MonkeyPatch) -> Held:
    return Held(monkeypatch)


@pytest.fixture
def pool() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(4) as pool:
        yield pool


def begin(pool: ThreadPoolExecutor, work: Callable[[], Any], ready: Callable[[], bool]) -> Future:
    """Work in a thread, once it has come to where it waits."""
    future = pool.submit(work)
    until(ready, 30, 'the thread asks')
    return future


def waiting(agent: Agent) -> int:
    """Requests that no pass has taken up."""
    return len(agent.planner._passes._waiting)


PAUSES = st.lists(
    st.tuples(*[st.sampled_from([0.0, 0.001, 0.003])] * STEPS), min_size=4, max_size=4
)


@settings(max_examples=15, deadline=None)
@given(pauses=PAUSES)
def test_whoever_asks_when_each_robot_plans_as_if_alone(pauses: list[tuple[float, ...]]) -> None:
    agents = joined(fleet())
    with ThreadPoolExecutor(len(agents)) as pool:
        found = list(pool.map(drive, agents, range(len(agents)), pauses))
    for number, (plans, alone) in enumerate(zip(found, alone_plans(), strict=True)):
        for ours, theirs in zip(plans, alone, strict=True):
            assert_same(ours, theirs)
            assert ours.d0 == (*D0S, 0.0)[number]


@functools.cache
def alone_plans() -> list[list[Plan]]:
    return [drive(agent, number) for number, agent in enumerate(fleet())]


def test_those_that_ask_during_a_pass_share_the_next(held: Held, pool: ThreadPoolExecutor) -> None:
    """The one with other weights does not: its pass runs beside theirs."""
    agents = joined(fleet())
    act = [functools.partial(drive, agent, n, (0.0,)) for n, agent in enumerate(agents)]
    futures = [begin(pool, act[0], lambda: held.sizes == [1])]
    futures.append(begin(pool, act[1], lambda: waiting(agents[1]) == 1))
    futures.append(begin(pool, act[2], lambda: waiting(agents[2]) == 2))
    futures.append(begin(pool, act[3], lambda: held.sizes == [1, 1]))
    held.may_go.set()
    found = [future.result(30) for future in futures]
    assert held.sizes == [1, 1, 2]
    for (plan,), alone in zip(found, alone_plans(), strict=True):
        assert_same(plan, alone[0])


@pytest.mark.parametrize(
    'changes', [{'horizon': 4}, {'time_budget': 10.0}, {'algorithm': 'arc'}], ids=str
)
def test_robots_with_other_settings_plan_beside_each_other(
    held: Held, pool: ThreadPoolExecutor, changes: dict[str, Any]
) -> None:
    agents = joined([robot(0), robot(1)])
    tiny.configured(agents[1], **changes)
    futures = [
        begin(pool, functools.partial(agent.act, OBSERVATION), lambda n=n: len(held.sizes) == n)
        for n, agent in enumerate(agents, 1)
    ]
    held.may_go.set()
    assert [len(future.result(30).sequence) for future in futures] == [
        agent.settings.planner.horizon for agent in agents
    ]
    assert held.sizes == [1, 1]


def test_weights_that_a_robot_takes_or_gives_up_part_and_join_it() -> None:
    agents = joined([robot(0), robot(1)])
    kinds = []
    before = agents[0].keep_weights()
    for change in (
        lambda: None,
        lambda: agents[0].load_weights(weights(1)),
        lambda: agents[0].put_back(before),
    ):
        change()
        kinds.append([agent.planner._weights() for agent in agents])
    assert [one == two for one, two in kinds] == [True, False, True]


def test_an_error_is_of_the_robot_that_made_it(held: Held, pool: ThreadPoolExecutor) -> None:
    """The pass fails after random numbers were drawn; the other plans as if it had not."""
    agents, number = joined(fleet()), len(TASK.encode(torch.as_tensor(OBSERVATION)))
    planner, chosen = agents[1].planner, agents[1].settings.planner
    wrong = torch.zeros(number, dtype=torch.float64)
    futures = [begin(pool, lambda: drive(agents[0], 0, (0.0,)), lambda: held.sizes == [1])]
    futures.append(
        begin(pool, lambda: planner.plan(wrong, chosen), lambda: waiting(agents[1]) == 1)
    )
    futures.append(begin(pool, lambda: drive(agents[2], 2), lambda: waiting(agents[2]) == 2))
    held.may_go.set()
    with pytest.raises(RuntimeError, match='dtype'):
        futures[1].result(30)
    assert held.sizes[:4] == [1, 2, 1, 1]
    for future, number in ((futures[0], 0), (futures[2], 2)):
        for ours, theirs in zip(future.result(30), alone_plans()[number], strict=False):
            assert_same(ours, theirs)


def test_a_robot_alone_plans_at_once_and_the_same_to_the_last_bit(held: Held) -> None:
    held.may_go.set()
    (together,), alone = joined([robot(0)]), robot(0)
    for ours, theirs in zip(drive(together, 0), drive(alone, 0), strict=True):
        np.testing.assert_array_equal(ours.sequence, theirs.sequence)
        assert ours.predicted_return == theirs.predicted_return
    assert held.sizes == [1] * STEPS


def test_a_pass_has_the_time_that_is_left_to_who_asked_first(
    held: Held, pool: ThreadPoolExecutor
) -> None:
    """The budgets of those that waited are used up: one iteration, which always runs."""
    agents = joined([robot(n, num_iterations=2, time_budget=60.0) for n in range(3)])
    tiny.configured(agents[1], time_budget=1e-3)
    act = [functools.partial(agent.act, OBSERVATION) for agent in agents]
    futures = [begin(pool, act[0], lambda: held.sizes == [1])]
    futures += [begin(pool, act[n], lambda n=n: waiting(agents[n]) == n) for n in (1, 2)]
    time.sleep(2e-3)
    held.may_go.set()
    assert [future.result(30).iterations for future in futures] == [2, 1, 1]


def test_a_planner_that_joins_goes_on_where_it_was() -> None:
    one, two = robot(0), robot(0)
    for agent in (one, two):
        agent.act(OBSERVATION)
    joined([one])
    np.testing.assert_array_equal(one.act(OBSERVATION).sequence, two.act(OBSERVATION).sequence)
