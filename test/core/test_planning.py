# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Whole plans against Alg. 3 and 4 in plain loops; warm start, prior, samples, randomness."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from known_world import LinearActor, LinearEnsemble, loop_scores, make_rollout, plain_reward
from torch import Tensor

from loop_ros.planning import sampling, search, weighting
from loop_ros.planning.planner import Planner
from loop_ros.planning.rollout import Evaluation, Rollout
from loop_ros.planning.search import Solution
from loop_ros.settings import PlannerSettings
from loop_ros.types import Scores

GAINS, STD, START = [0.5, 1.2], 0.2, 0.3


class RecordingRollout(Rollout):
    """Remembers every set of candidates and how many draws the actor was asked for."""

    def __init__(self, *parts: Any) -> None:
        super().__init__(*parts)
        self.candidates: list[Tensor] = []
        self.noises: list[Tensor | None] = []
        self.asked = 0

    def evaluate(self, state: Tensor, sequences: Tensor, noise: Any, settings: Any) -> Evaluation:
        self.candidates.append(sequences.clone())
        self.noises.append(noise)
        return super().evaluate(state, sequences, noise, settings)

    def actor_sequences(
        self,
        state: Tensor,
        noise: Tensor,
        settings: PlannerSettings,
        last: Tensor | None = None,
    ) -> Tensor:
        self.asked += len(noise)
        return super().actor_sequences(state, noise, settings, last)


def recording_planner(seed: int = 0, actor: Any = None, std: float = STD) -> Planner:
    ensemble = LinearEnsemble(GAINS, plain_reward, std)
    rollout = make_rollout(
        ensemble, actor, cost=lambda s: s[..., 0].clamp(0), kind=RecordingRollout
    )
    generator = torch.Generator().manual_seed(seed)
    return Planner(rollout, generator)


def recorded(planner: Planner) -> RecordingRollout:
    assert isinstance(planner.rollout, RecordingRollout)
    return planner.rollout


def loop_weights(returns: list[float], costs: list[float], s: PlannerSettings) -> list[float]:
    """Lines 29 to 38 of Alg. 4 and line 27 of Alg. 3, as written."""
    if s.algorithm == 'arc':
        raw = [math.exp(r / s.temperature) for r in returns]
    elif sum(c <= s.d0 for c in costs) < s.min_safe:
        raw = [math.exp(-c / s.temperature) for c in costs]
    else:
        raw = [
            math.exp(r / s.temperature) if c <= s.d0 else 0.0
            for r, c in zip(returns, costs, strict=True)
        ]
    return [w / sum(raw) for w in raw]


@pytest.mark.parametrize(
    'changes',
    [
        {'algorithm': 'arc'},
        {'algorithm': 'arc', 'mean_update': 1.0, 'variance_update': 0.9},
        {'algorithm': 'arc', 'pessimism': 0.5, 'terminal_value': 'v'},
        {'algorithm': 'safe_arc', 'd0': 2.0, 'min_safe': 3, 'mean_update': 0.6},
        {'algorithm': 'safe_arc', 'd0': 0.0, 'min_safe': 12},  # the cautious branch
        {'algorithm': 'safe_arc', 'd0': 1.5, 'min_safe': 4, 'actor_fraction': 0.25},
    ],
)
def test_a_plan_equals_algorithm_4_in_plain_loops(changes: dict[str, Any]) -> None:
    """Candidates are taken as drawn; scores, weights and both smoothings are worked out again."""
    settings = PlannerSettings(
        **{
            'horizon': 4, 'num_samples': 12, 'num_particles': 3, 'num_iterations': 3,
            'temperature': 2.0, 'initial_std': 0.2, 'discount': 0.9, 'actor_fraction': 0.0,
            'mean_update': 0.3, 'variance_update': 0.4, **changes,
        }
    )  # fmt: skip
    planner = recording_planner()
    solution = planner.plan(torch.tensor([START]), settings)
    *iterations, final = recorded(planner).candidates
    noise = recorded(planner).noises[0]
    assert noise is not None
    assert len(iterations) == 3

    def score(sequences: Any) -> tuple[list[float], list[float]]:
        return loop_scores(GAINS, STD, START, sequences, noise.double().numpy(), settings)

    mean = np.zeros(4)
    branches = set()
    costs: list[float] = []
    for candidates in iterations:
        drawn = candidates[..., 0].double().numpy()
        returns, costs = score(drawn.tolist())
        branches.add(sum(c <= settings.d0 for c in costs) >= settings.min_safe)
        weights = loop_weights(returns, costs, settings)
        new_mean = sum(w * a for w, a in zip(weights, drawn, strict=True))
        mean = settings.mean_update * new_mean + (1 - settings.mean_update) * mean
    np.testing.assert_allclose(solution.sequence[:, 0], mean, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(final[0, :, 0], mean, rtol=1e-4, atol=1e-5)
    returns, worst = score([mean.tolist()])
    assert solution.metrics['predicted_return'].item() == pytest.approx(returns[0], rel=1e-4)
    assert solution.metrics['worst_cost'].item() == pytest.approx(worst[0], rel=1e-4, abs=1e-5)
    safe = sum(c <= settings.d0 for c in costs) / len(costs)
    assert solution.metrics['safe_fraction'].item() == pytest.approx(safe)
    if 'd0' in changes:
        assert branches == {changes['d0'] > 0}, 'the case must exercise the branch it is named for'


class FixedNoisePlanner(Planner):
    """Draws the same numbers each time, so that candidates reveal their mean and variance."""

    def normal(self, *shape: int) -> Tensor:
        generator = torch.Generator().manual_seed(5)
        return torch.randn(shape, generator=generator)


def test_variance_is_the_weighted_spread_smoothed_by_alpha() -> None:
    """Eq. 8 and Alg. 3 line 30: candidates of the next iteration have exactly that variance."""
    source = recording_planner()
    planner = FixedNoisePlanner(source.rollout, source.generator)
    settings = PlannerSettings(
        algorithm='arc', horizon=2, num_samples=6, num_particles=1, num_iterations=2,
        temperature=1.5, initial_std=0.1, actor_fraction=0.0, mean_update=0.25,
        variance_update=0.4, propagate_noise=False, terminal_value='none', discount=1.0,
    )  # fmt: skip
    planner.plan(torch.tensor([START]), settings)
    first, second = (c[..., 0].double().numpy() for c in recorded(source).candidates[:2])
    drawn = torch.randn(6, 2, 1, generator=torch.Generator().manual_seed(5))[..., 0].numpy()
    np.testing.assert_allclose(first, 0.1 * drawn, rtol=1e-5)
    # Without noise the return of (a, b) is mean_k (s + 2a) + (s + gain_k a + 2b).
    gain = sum(GAINS) / 2
    returns = [2 * START + (2 + gain) * a + 2 * b for a, b in first]
    weights = np.array([math.exp(r / 1.5) for r in returns])
    weights /= weights.sum()
    new_mean = weights @ first
    new_variance = weights @ (first - new_mean) ** 2
    mean = 0.25 * new_mean
    variance = 0.4 * new_variance + 0.6 * 0.1**2
    np.testing.assert_allclose(second, mean + np.sqrt(variance) * drawn, rtol=1e-4)


# --- warm start, prior, samples, randomness ---


def plan(planner: Planner, **changes: Any) -> Solution:
    settings = PlannerSettings(
        **{'horizon': 4, 'num_samples': 40, 'num_particles': 2, 'num_iterations': 2, **changes}
    )
    return planner.plan(torch.tensor([START]), settings)


def test_a_plan_knows_the_spread_of_the_candidates_that_count() -> None:
    """All of them where weights are equal, none where one candidate has all the weight."""
    changes = {
        'num_samples': 4000, 'num_iterations': 1, 'actor_fraction': 0.0, 'initial_std': 0.2,
        'mean_update': 1.0, 'variance_update': 1.0, 'algorithm': 'arc',
    }  # fmt: skip
    spread = [plan(recording_planner(), temperature=t, **changes).std for t in (1e6, 1e-6)]
    assert spread[0].tolist() == pytest.approx([0.2], rel=0.05)  # four standard errors
    assert spread[1].tolist() == pytest.approx([0.0], abs=1e-6)


def test_a_plan_starts_from_the_last_one_shifted_by_a_step() -> None:
    planner = recording_planner()
    last = plan(planner, mean_update=1.0).sequence
    expected = torch.cat((last[1:], last[-1:]))
    assert not torch.equal(expected, last)
    recorded(planner).candidates.clear()
    plan(planner, initial_std=0.0, num_iterations=1, actor_fraction=0.0)
    for candidate in recorded(planner).candidates[0]:
        torch.testing.assert_close(candidate, expected)


def test_skipped_steps_shift_the_start() -> None:
    planner = recording_planner()
    planner.skip(1)
    assert planner.start(4).tolist() == [[0.0]] * 4
    last = plan(planner, mean_update=1.0).sequence
    planner.skip(2)
    torch.testing.assert_close(planner.start(4), last[[3, 3, 3, 3]])


def test_reset_and_a_new_horizon_start_from_zero() -> None:
    planner = recording_planner()
    plan(planner, mean_update=1.0)
    assert planner.start(4).abs().sum() > 0
    planner.reset()
    assert planner.start(4).tolist() == [[0.0]] * 4
    plan(planner, mean_update=1.0)
    assert planner.start(5).tolist() == [[0.0]] * 5


@pytest.mark.parametrize(('fraction', 'count'), [(0.0, 0), (0.05, 2), (0.5, 20), (1.0, 40)])
def test_the_actor_proposes_its_share(fraction: float, count: int) -> None:
    planner = recording_planner(actor=ConstantActor())
    plan(planner, actor_fraction=fraction, num_iterations=1)
    candidates = recorded(planner).candidates[0]
    assert len(candidates) == 40
    assert int((candidates == ConstantActor.VALUE).all(dim=(1, 2)).sum()) == count


class ConstantActor(LinearActor):
    """Always proposes the same action, one that a Gaussian does not hit."""

    VALUE = 0.7654321

    def act(self, state: Tensor, noise: Tensor) -> Tensor:
        return torch.full_like(noise, self.VALUE)


@pytest.mark.parametrize(('resample', 'times'), [(True, 3), (False, 1)])
def test_the_actor_is_asked_each_iteration_or_once(resample: bool, times: int) -> None:
    planner = recording_planner()
    plan(planner, actor_fraction=0.1, num_iterations=3, resample_actor=resample)
    assert recorded(planner).asked == times
    proposals = [c[:4] for c in recorded(planner).candidates[:3]]
    assert torch.equal(proposals[0], proposals[2]) is not resample


def test_samples_are_plain_or_truncated_at_two_sigma() -> None:
    drawn = {}
    for truncate in (False, True):
        planner = recording_planner(std=0.0)
        plan(
            planner, truncate_samples=truncate, initial_std=0.3, num_samples=5000,
            num_iterations=1, actor_fraction=0.0,
        )  # fmt: skip
        drawn[truncate] = recorded(planner).candidates[0] / 0.3
    assert drawn[False].abs().max() > 2.5
    assert drawn[False].std().item() == pytest.approx(1.0, abs=0.02)
    assert 1.95 < drawn[True].abs().max() <= 2.0 + 1e-5
    # A standard normal truncated at 2 sigma has standard deviation 0.8796.
    assert drawn[True].std().item() == pytest.approx(0.8796, abs=0.02)


@pytest.mark.parametrize('correlation', [0.0, 0.5, 0.9])
def test_samples_are_as_correlated_from_step_to_step_as_set(correlation: float) -> None:
    """And no more widely spread for it, at no step."""
    planner = recording_planner(std=0.0)
    plan(
        planner, sample_correlation=correlation, initial_std=0.2, num_samples=5000,
        num_iterations=1, actor_fraction=0.0,
    )  # fmt: skip
    drawn = recorded(planner).candidates[0][..., 0].T / 0.2  # [H, N]
    np.testing.assert_allclose(drawn.std(dim=1).numpy(), 1.0, atol=0.04)
    lag = np.abs(np.subtract.outer(np.arange(len(drawn)), np.arange(len(drawn))))
    np.testing.assert_allclose(np.corrcoef(drawn.numpy()), correlation**lag, atol=0.06)


def test_candidates_never_leave_the_action_range() -> None:
    planner = recording_planner()
    plan(planner, initial_std=10.0)
    for candidates in recorded(planner).candidates:
        assert candidates.abs().max() <= 1.0


def test_particles_follow_the_mean_without_noise() -> None:
    planner = recording_planner()
    plan(planner, propagate_noise=False)
    assert all(noise is None for noise in recorded(planner).noises)


@pytest.mark.parametrize('algorithm', sorted(weighting.RULES))
def test_a_seed_determines_the_plan(algorithm: str) -> None:
    def sequence(seed: int) -> Tensor:
        planner = recording_planner(seed)
        plan(planner, algorithm=algorithm)
        return plan(planner, algorithm=algorithm).sequence

    assert torch.equal(sequence(1), sequence(1))
    assert not torch.equal(sequence(1), sequence(2))


class SlowRollout(RecordingRollout):
    """Moves a clock of its own by 10 ms a rollout, and by 8 ms an evaluation."""

    now = 0.0

    def evaluate(self, state: Tensor, sequences: Tensor, noise: Any, settings: Any) -> Evaluation:
        SlowRollout.now += 0.008 if len(sequences) == 1 else 0.010
        return super().evaluate(state, sequences, noise, settings)


@pytest.fixture
def slow_planner(monkeypatch: pytest.MonkeyPatch) -> Callable[[], Planner]:
    monkeypatch.setattr(search.time, 'perf_counter', lambda: SlowRollout.now)

    def make() -> Planner:
        rollout = make_rollout(LinearEnsemble(GAINS, plain_reward, STD), kind=SlowRollout)
        return Planner(rollout, torch.Generator().manual_seed(0))

    return make


def test_a_time_budget_ends_the_iterations_with_the_best_so_far(
    slow_planner: Callable[[], Planner],
) -> None:
    def plan(budget: float, iterations: int = 8) -> Solution:
        settings = PlannerSettings(
            num_iterations=iterations,
            time_budget=budget,
            horizon=3,
            actor_fraction=0.0,
            rollout_threads=1,
        )
        return slow_planner().plan(torch.tensor([START]), settings)

    assert [plan(budget).iterations for budget in (0.0, 1e-6, 0.035, 1.0)] == [8, 1, 3, 8]
    torch.testing.assert_close(plan(0.035).sequence, plan(0.0, 3).sequence, rtol=0, atol=0)


def test_the_budget_keeps_time_for_the_evaluation(slow_planner: Callable[[], Planner]) -> None:
    """Once a plan has shown how long it takes."""
    planner = slow_planner()
    settings = PlannerSettings(num_iterations=8, time_budget=0.035, horizon=3, rollout_threads=1)
    planner.plan(torch.tensor([START]), settings)
    before = SlowRollout.now
    assert planner.plan(torch.tensor([START]), settings).iterations == 2
    assert SlowRollout.now - before <= settings.time_budget


def test_the_runner_up_begins_differently_and_is_the_best_of_those() -> None:
    """Of six candidates three begin farther from the plan (0) than the average (0.45)."""
    candidates = torch.tensor([0.0, 0.1, -0.1, 0.7, -0.8, 1.0]).view(6, 1, 1)
    returns = torch.tensor([9.0, 8.0, 7.0, 3.0, 5.0, 4.0])
    costs = torch.tensor([0.0, 0.0, 0.0, 0.1, 2.0, 3.0])
    scores = Scores(returns, costs, returns.isnan())

    def runner_up(algorithm: str, d0: float) -> float:
        settings = PlannerSettings(algorithm=algorithm, d0=d0)
        found = sampling.runner_up(torch.zeros(1), candidates, scores, settings)
        return round(candidates[found].item(), 6)

    assert runner_up('arc', 0.2) == -0.8  # return 5
    assert runner_up('safe_arc', 0.2) == 0.7  # the only safe one of them
    assert runner_up('safe_arc', 2.0) == -0.8
    assert runner_up('safe_arc', 0.0) == 0.7  # none is safe: the least cost


def test_a_plan_says_whose_sequences_it_is_made_of() -> None:
    """With nothing but the actor's proposals all of the weight is theirs; without them none."""
    for fraction in (0.0, 1.0):
        solution = plan(recording_planner(), actor_fraction=fraction, num_iterations=1)
        assert solution.metrics['actor_share'].item() == pytest.approx(fraction)
    assert 0.0 < plan(recording_planner(), actor_fraction=0.5).metrics['actor_share'] < 1.0
