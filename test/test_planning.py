# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
"""ARC, safeARC and CEM: by hand, against plain loops, and where the optimum is known."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from known_world import LinearActor, LinearEnsemble, make_rollout, plain_reward
from test_rollout import loop_scores
from torch import Tensor

from loop_ros.planning import weighting
from loop_ros.planning.planner import Planner, Solution
from loop_ros.planning.rollout import Rollout
from loop_ros.settings import PlannerSettings
from loop_ros.types import Scores


def scores(returns: list[float], costs: list[float] | None = None) -> Scores:
    return Scores(torch.tensor(returns), torch.tensor(costs or [0.0] * len(returns)))


# --- weights (Eq. 8, Alg. 4 lines 29 to 38) ---


def test_arc_weights_by_hand() -> None:
    one = weighting.arc(scores([1.0, 2.0, 3.0]), PlannerSettings(temperature=1.0))
    assert one.tolist() == pytest.approx([0.0900306, 0.2447285, 0.6652410], rel=1e-5)
    # eta = 1/ln 2 turns exp(R/eta) into 2^R.
    two = weighting.arc(scores([0.0, 1.0, 2.0]), PlannerSettings(temperature=1.0 / math.log(2.0)))
    assert two.tolist() == pytest.approx([1 / 7, 2 / 7, 4 / 7], rel=1e-6)


def test_weights_survive_returns_of_any_size() -> None:
    """exp(R/eta) alone would be 0/0 or inf/inf here."""
    for shift in (-1e6, 1e6):
        weights = weighting.arc(scores([shift, shift + 1.0]), PlannerSettings(temperature=1.0))
        assert weights.tolist() == pytest.approx([1 / (1 + math.e), math.e / (1 + math.e)])


def test_arc_pays_no_heed_to_cost() -> None:
    weights = weighting.arc(scores([0.0, 0.0], [0.0, 9.0]), PlannerSettings())
    assert weights.tolist() == [0.5, 0.5]


# Returns 0, ln 2, 5 with costs 0, 0.5, 1: under d0 = 0.5 the first two are safe.
RETURNS, COSTS = [0.0, math.log(2.0), 5.0], [0.0, 0.5, 1.0]
BY_RETURN = [1 / 3, 2 / 3, 0.0]
BY_COST = (np.exp([0.0, -0.5, -1.0]) / np.exp([0.0, -0.5, -1.0]).sum()).tolist()


@pytest.mark.parametrize(
    ('d0', 'min_safe', 'expected'),
    [
        (0.5, 1, BY_RETURN),
        (0.5, 2, BY_RETURN),  # exactly m safe ones are enough; a cost of exactly d0 is safe
        (0.5, 3, BY_COST),
        (0.0, 1, [1.0, 0.0, 0.0]),  # d0 = 0 accepts no cost, and is not impossible
        (0.0, 2, BY_COST),
    ],
)
def test_both_branches_of_algorithm_4(d0: float, min_safe: int, expected: list[float]) -> None:
    settings = PlannerSettings(d0=d0, min_safe=min_safe, temperature=1.0)
    weights = weighting.safe_arc(scores(RETURNS, COSTS), settings)
    assert weights.tolist() == pytest.approx(expected, rel=1e-5)


def test_no_safe_sequence_at_all_prefers_the_least_cost() -> None:
    settings = PlannerSettings(d0=0.1, min_safe=1, temperature=0.5)
    weights = weighting.safe_arc(scores([9.0, 0.0], [3.0, 1.0]), settings)
    assert weights.tolist() == pytest.approx([1 / (1 + math.e**4), math.e**4 / (1 + math.e**4)])


def test_temperature_sharpens_the_cautious_branch_too() -> None:
    cold = PlannerSettings(d0=0.1, min_safe=1, temperature=1e-3)
    assert weighting.safe_arc(scores([9.0, 0.0], [3.0, 1.0]), cold).tolist() == [0.0, 1.0]


@pytest.mark.parametrize(
    ('elite_fraction', 'expected'),
    [(0.5, [0, 0.5, 0, 0.5]), (0.25, [0, 0, 0, 1]), (0.0, [0, 0, 0, 1]), (1.0, [0.25] * 4)],
)
def test_cem_keeps_the_elites_by_return(elite_fraction: float, expected: list[float]) -> None:
    settings = PlannerSettings(elite_fraction=elite_fraction)
    weights = weighting.cem(scores([1.0, 3.0, 2.0, 4.0], [9, 9, 0, 9]), settings)
    assert weights.tolist() == expected


@pytest.mark.parametrize(
    ('returns', 'costs', 'expected'),
    [
        # Two safe ones or more: the two best of the safe, whatever the unsafe promise.
        ([1.0, 3.0, 2.0, 400.0], [0.0, 0.2, 0.0, 0.3], [0, 0.5, 0.5, 0]),
        # One safe: it, and the least cost among the rest.
        ([1.0, 3.0, 2.0, 400.0], [0.1, 5.0, 0.5, 0.9], [0.5, 0, 0.5, 0]),
        # None safe: the two of least cost.
        ([1.0, 3.0, 2.0, 400.0], [0.9, 0.8, 1e4, 1e6], [0.5, 0.5, 0, 0]),
    ],
)
def test_safe_cem_elites(returns: list[float], costs: list[float], expected: list[float]) -> None:
    settings = PlannerSettings(elite_fraction=0.5, d0=0.2)
    assert weighting.safe_cem(scores(returns, costs), settings).tolist() == expected


@pytest.mark.parametrize('rule', sorted(weighting.RULES))
def test_weights_are_a_distribution(rule: str) -> None:
    generator = torch.Generator().manual_seed(0)
    drawn = Scores(torch.randn(50, generator=generator) * 100, torch.rand(50, generator=generator))
    weights = weighting.RULES[rule](drawn, PlannerSettings(d0=0.3))
    assert weights.min() >= 0.0
    assert weights.sum().item() == pytest.approx(1.0, abs=1e-5)


# --- the whole of Alg. 3 and 4, against plain Python ---

GAINS, STD, START = [0.5, 1.2], 0.2, 0.3


class RecordingRollout(Rollout):
    """Remembers every set of candidates and how often the actor was asked."""

    def __init__(self, *parts: Any) -> None:
        super().__init__(*parts)
        self.candidates: list[Tensor] = []
        self.noises: list[Tensor | None] = []
        self.asked = 0

    def __call__(
        self, state: Tensor, sequences: Tensor, noise: Any, settings: Any, visited: Any = None
    ) -> Scores:
        self.candidates.append(sequences.clone())
        self.noises.append(noise)
        return super().__call__(state, sequences, noise, settings, visited)

    def actor_sequences(self, state: Tensor, noise: Tensor, settings: PlannerSettings) -> Tensor:
        self.asked += 1
        return super().actor_sequences(state, noise, settings)


def recording_planner(seed: int = 0, actor: Any = None, std: float = STD) -> Planner:
    ensemble = LinearEnsemble(GAINS, plain_reward, std)
    rollout = make_rollout(
        ensemble, actor, cost=lambda s: s[..., 0].clamp(0), kind=RecordingRollout
    )
    generator = torch.Generator().manual_seed(seed)
    return Planner(rollout, 1, torch.device('cpu'), generator)


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
    """Candidates are taken as drawn; scores, weights and both smoothings are worked out anew."""
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
    assert solution.predicted_return.item() == pytest.approx(returns[0], rel=1e-4)
    assert solution.worst_cost.item() == pytest.approx(worst[0], rel=1e-4, abs=1e-5)
    safe = sum(c <= settings.d0 for c in costs) / len(costs)
    assert solution.safe_fraction.item() == pytest.approx(safe)
    if 'd0' in changes:
        assert branches == {changes['d0'] > 0}, 'the case must exercise the branch it is named for'


class FixedNoisePlanner(Planner):
    """Draws the same numbers each time, so that candidates reveal their mean and variance."""

    def _normal(self, *shape: int) -> Tensor:
        generator = torch.Generator().manual_seed(5)
        return torch.randn(shape, generator=generator)


def test_variance_is_the_weighted_spread_smoothed_by_alpha() -> None:
    """Eq. 8 and Alg. 3 line 30: candidates of the next iteration have exactly that variance."""
    source = recording_planner()
    planner = FixedNoisePlanner(source.rollout, 1, source.device, source.generator)
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


def test_a_plan_starts_from_the_last_one_shifted_by_a_step() -> None:
    planner = recording_planner()
    last = plan(planner, mean_update=1.0).sequence
    expected = torch.cat((last[1:], last[-1:]))
    assert not torch.equal(expected, last)
    recorded(planner).candidates.clear()
    plan(planner, initial_std=0.0, num_iterations=1, actor_fraction=0.0)
    for candidate in recorded(planner).candidates[0]:
        torch.testing.assert_close(candidate, expected)


def test_reset_and_a_new_horizon_start_from_zero() -> None:
    planner = recording_planner()
    plan(planner, mean_update=1.0)
    assert planner.initial_mean(4).abs().sum() > 0
    assert planner.initial_mean(5).tolist() == [[0.0]] * 5
    planner.reset()
    assert planner.initial_mean(4).tolist() == [[0.0]] * 4


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


# --- a linear-Gaussian system whose optimum is known ---

GAIN, GOAL, EFFORT, LQ_DISCOUNT, LQ_START = 0.4, 0.5, 0.1, 0.9, 0.0


def quadratic_reward(state: Tensor, action: Tensor) -> Tensor:
    return -((state - GOAL) ** 2) - EFFORT * action**2


def quadratic_optimum(horizon: int) -> np.ndarray:
    """Maximise sum_t gamma^t r(s_t, a_t) with s_t = s_0 + gain * (a_0 + .. + a_{t-1}).

    Weighted least squares; additive noise does not move the optimum of its mean.
    """
    rows, targets = [], []
    for t in range(horizon):
        weight = math.sqrt(LQ_DISCOUNT**t)
        rows.append(weight * GAIN * (np.arange(horizon) < t))
        targets.append(weight * (GOAL - LQ_START))
        rows.append(weight * math.sqrt(EFFORT) * (np.arange(horizon) == t))
        targets.append(0.0)
    return np.linalg.lstsq(np.array(rows), np.array(targets), rcond=None)[0]


def quadratic_plan(std: float, cost: Any = None, **changes: Any) -> Solution:
    rollout = make_rollout(LinearEnsemble([GAIN], quadratic_reward, std), cost=cost)
    planner = Planner(rollout, 1, torch.device('cpu'), torch.Generator().manual_seed(0))
    settings = PlannerSettings(
        **{
            'horizon': 5, 'num_samples': 400, 'num_particles': 20, 'num_iterations': 25,
            'temperature': 0.003, 'initial_std': 0.5, 'mean_update': 1.0, 'variance_update': 0.5,
            'discount': LQ_DISCOUNT, 'terminal_value': 'none', 'actor_fraction': 0.0, **changes,
        }
    )  # fmt: skip
    return planner.plan(torch.tensor([LQ_START]), settings)


@pytest.mark.parametrize('algorithm', ['arc', 'cem', 'safe_arc', 'safe_cem'])
@pytest.mark.parametrize('std', [0.0, 0.05])
def test_planners_reach_the_known_optimum(algorithm: str, std: float) -> None:
    """Within 0.05 of the exact actions; the noise of 20 particles alone moves them by 0.02."""
    optimum = quadratic_optimum(5)
    assert np.abs(optimum).max() < 1.0, 'the optimum must lie inside the action range'
    solution = quadratic_plan(std, cost=lambda s: 0.0 * s[..., 0], algorithm=algorithm)
    np.testing.assert_allclose(solution.sequence[:, 0], optimum, atol=0.05)


def test_the_papers_smoothing_reaches_the_optimum_with_patience() -> None:
    solution = quadratic_plan(
        0.0, algorithm='arc', mean_update=0.1, variance_update=0.1, num_iterations=80
    )
    np.testing.assert_allclose(solution.sequence[:, 0], quadratic_optimum(5), atol=0.05)


@pytest.mark.parametrize(('free', 'safe'), [('arc', 'safe_arc'), ('cem', 'safe_cem')])
def test_the_constraint_holds_where_the_free_optimum_breaks_it(free: str, safe: str) -> None:
    """A wall at 0.3 on the way to the goal at 0.5: the safe plan stops before it, but near it."""

    def beyond_wall(state: Tensor) -> Tensor:
        return (state[..., 0] > 0.3).float()

    unsafe = quadratic_plan(0.02, beyond_wall, algorithm=free, d0=0.0)
    cautious = quadratic_plan(0.02, beyond_wall, algorithm=safe, d0=0.0, min_safe=10)
    assert unsafe.worst_cost > 0.0
    assert cautious.worst_cost == 0.0
    assert 0.15 < cautious.states.max() <= 0.3
    assert cautious.predicted_return < unsafe.predicted_return


def test_the_worst_model_binds_the_plan() -> None:
    """Eq. 10 takes the maximum over models: one eager model holds all the others back."""

    def reach(gains: list[float]) -> float:
        rollout = make_rollout(
            LinearEnsemble(gains, quadratic_reward), cost=lambda s: (s[..., 0] > 0.3).float()
        )
        planner = Planner(rollout, 1, torch.device('cpu'), torch.Generator().manual_seed(0))
        settings = PlannerSettings(
            algorithm='safe_arc', d0=0.0, min_safe=10, horizon=3, num_samples=300,
            num_iterations=15, temperature=0.003, mean_update=1.0, variance_update=0.5,
            terminal_value='none', actor_fraction=0.0,
        )  # fmt: skip
        sequence = planner.plan(torch.tensor([LQ_START]), settings).sequence[:, 0]
        return max(0.4 * sequence.cumsum(0).max().item(), 0.0)

    assert reach([0.4, 0.4]) == pytest.approx(0.3, abs=0.05)
    # The eager model must stay under 0.3, so the others reach only 0.4/0.8 of that.
    assert reach([0.4, 0.8]) == pytest.approx(0.15, abs=0.03)
