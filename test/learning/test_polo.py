# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
"""POLO's plans from many states at once, by hand; and the value that they teach."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
import tiny
import torch
from known_world import LinearActor, LinearCritic, LinearEnsemble, make_rollout, plain_reward
from random_batch import sac_settings

from loop_ros.agent import Agent
from loop_ros.algorithms.polo import POLO
from loop_ros.cli.algorithms import ALGORITHMS
from loop_ros.models.networks import Critics
from loop_ros.planning import weighting
from loop_ros.planning.planner import Planner
from loop_ros.settings import OffPolicySettings, PlannerSettings
from loop_ros.sim import registry
from loop_ros.types import Batch, Scores

STATES = torch.tensor([[1.0], [-2.0], [0.5]])


def settings(**changes: Any) -> PlannerSettings:
    own = {
        'algorithm': 'cem', 'horizon': 2, 'num_samples': 64, 'num_particles': 3,
        'num_iterations': 6, 'discount': 0.5, 'terminal_value': 'state', 'critic': 'mean',
        'mean_update': 1.0, 'variance_update': 1.0, 'rollout_threads': 1,
    }  # fmt: skip
    return PlannerSettings(**{**own, **changes})


def planner(noise_std: float = 0.0, actor: Any = None) -> Planner:
    """In the world s' = s + a, r = s + 2 a; V is the mean of 10 s and 6 s."""
    ensemble = LinearEnsemble([1.0, 1.0], plain_reward, noise_std)
    rollout = make_rollout(ensemble, actor, LinearCritic())
    generator = torch.Generator().manual_seed(0)
    return Planner(rollout, generator)


def value(start: float, actions: list[float]) -> float:
    """By hand: two rewards and the value of the last state, of no action."""
    total, state = 0.0, start
    for step, action in enumerate(actions):
        total += 0.5**step * (state + 2 * action)
        state += action
    return total + 0.25 * 8 * state


def test_the_value_of_a_plan_that_stands_still() -> None:
    found = planner().values(STATES, settings(initial_std=0.0))
    assert found.tolist() == pytest.approx([value(s, [0.0, 0.0]) for s in (1.0, -2.0, 0.5)])


def test_the_value_of_the_best_plan() -> None:
    """More is better everywhere: both actions at their limit."""
    found = planner().values(STATES, settings(initial_std=1.0, num_iterations=20))
    assert found.tolist() == pytest.approx(
        [value(s, [1.0, 1.0]) for s in (1.0, -2.0, 0.5)], abs=0.1
    )


def test_a_plan_that_is_renewed_is_worth_the_value_there() -> None:
    """0.5 is beyond 0.4 once it stays there: one reward and the value; the others go on."""
    own = planner()
    own.rollout.task.goal_resampled = lambda state: (state[..., 0] > 0.4) & (state[..., 0] < 0.6)
    found = own.values(STATES, settings(initial_std=0.0))
    stays = [value(s, [0.0, 0.0]) for s in (1.0, -2.0)]
    assert found.tolist() == pytest.approx([*stays, 0.5 + 0.5 * 8 * 0.5])


def test_an_agents_polo_plans_with_what_its_task_renews() -> None:
    agent = Agent(registry.task('PointGoal1'), tiny.settings().replace(ALGORITHMS['polo']))
    algorithm = agent.learner.algorithm
    assert isinstance(algorithm, POLO)
    assert algorithm.planner.rollout.task.goal_resampled is agent.task.goal_resampled is not None


def test_each_state_has_a_plan_of_its_own() -> None:
    """Reward -(s + a)^2: the best first action is -s, whichever state stands beside it."""

    def reward(state: torch.Tensor, action: torch.Tensor) -> torch.Tensor:
        return -((state + action) ** 2)

    own = planner()
    own.rollout.parts.ensemble.reward = reward  # type: ignore[attr-defined]
    states = torch.tensor([[0.5], [-0.9], [0.0]])
    sought = settings(horizon=1, terminal_value='none', initial_std=1.0, num_samples=300)
    assert own.values(states, sought).tolist() == pytest.approx([0.0, 0.0, 0.0], abs=1e-2)


def test_the_actor_has_no_say() -> None:
    one = planner(actor=LinearActor(0.1)).values(STATES, settings())
    two = planner(actor=LinearActor(-5.0)).values(STATES, settings())
    assert torch.equal(one, two)


@pytest.mark.parametrize('terminal_value', ['q', 'v', 'state', 'none'])
@pytest.mark.parametrize('horizon', [1, 3])
@pytest.mark.parametrize('threads', [1, 3])
def test_scores_from_many_states_are_those_from_each(
    terminal_value: str, horizon: int, threads: int
) -> None:
    """Particles and their noise included, and where threads take shares of the sequences."""
    rollout = planner(noise_std=0.3).rollout
    chosen = settings(terminal_value=terminal_value, rollout_threads=threads)
    generator = torch.Generator().manual_seed(1)
    states = torch.randn(150, 1, generator=generator)
    sequences = torch.randn(150, horizon, 1, generator=generator).clamp(-1, 1)
    noise = torch.randn(horizon, 2, 3, 2, generator=generator)
    together = rollout(states, sequences, noise, chosen)
    for i in (0, 1, 77, 149):
        alone = rollout(states[i], sequences[i : i + 1], noise, chosen)
        torch.testing.assert_close(together.returns[i : i + 1], alone.returns)
        torch.testing.assert_close(together.costs[i : i + 1], alone.costs)


@pytest.mark.parametrize('rule', sorted(weighting.RULES))
def test_rules_weigh_each_row_of_scores_alone(rule: str) -> None:
    generator = torch.Generator().manual_seed(0)
    returns, costs = torch.randn(2, 4, 30, generator=generator)
    costs[0] = 5.0  # no safe sequence in this row
    chosen = settings(d0=0.5, min_safe=3)
    together = weighting.RULES[rule](Scores(returns, costs, returns.isnan()), chosen)
    for i in range(4):
        alone = weighting.RULES[rule](Scores(returns[i], costs[i], returns[i].isnan()), chosen)
        torch.testing.assert_close(together[i], alone)


def polo(critic: Critics, own: Planner, **changes: Any) -> POLO:
    own.rollout.parts = own.rollout.parts._replace(critic=critic)
    rates = sac_settings(width=16, batch_size=3, learning_rate=1e-2)
    return POLO(own, dataclasses.replace(rates, planner=settings(**changes)))


BATCH = Batch(
    STATES, torch.tensor([[0.9], [-0.9], [0.1]]), torch.full((3,), 50.0), torch.zeros(3), STATES,
    torch.zeros(3),
)  # fmt: skip


@pytest.mark.slow
def test_the_critics_learn_the_plans_returns_and_no_action() -> None:
    """Whatever the stored actions and rewards were."""
    torch.manual_seed(0)
    critic = Critics(1, 1, OffPolicySettings(width=16))
    own = planner()
    taught = polo(critic, own, initial_std=0.0)
    own.rollout.parts = own.rollout.parts._replace(critic=LinearCritic())  # ends plans, unlearned
    losses = [taught.update(BATCH)['critic_loss'].item() for _ in range(400)]
    assert losses[-1] < 1e-2 * losses[0]
    expected = torch.tensor([value(s, [0.0, 0.0]) for s in (1.0, -2.0, 0.5)])
    with torch.no_grad():
        found = critic(STATES, torch.zeros(3, 1))
    torch.testing.assert_close(found, expected.expand(2, -1), rtol=0.05, atol=0.3)


def test_the_value_feeds_on_itself() -> None:
    """Standing still at s = 0.5 for 0.5 a step is worth 0.5 / (1 - 1/2) = 1, from any horizon."""
    torch.manual_seed(0)
    critic = Critics(1, 1, OffPolicySettings(width=16))
    rollout = make_rollout(LinearEnsemble([1.0], plain_reward), critic=critic)
    own = Planner(rollout, torch.Generator().manual_seed(0))
    taught = polo(critic, own, initial_std=0.0, num_iterations=1)
    for _ in range(400):
        taught.update(BATCH)
    with torch.no_grad():
        found = critic(STATES, torch.zeros(3, 1)).mean(dim=0)
    assert found.tolist() == pytest.approx([2.0, -4.0, 1.0], abs=0.2)
