# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The paper's bounds: by hand, on random MDPs, where they are reached, where they fail."""

from __future__ import annotations

import itertools
import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from loop_ros.cli.main import main
from loop_ros.theory import bounds, errors, examples, experiments, tabular
from loop_ros.types import Array

DISCOUNTS = st.floats(0.0, 0.97)
HORIZONS = st.integers(1, 8)


def worst_share(horizon: int, discount: float, form: bounds.Form, size: float = 1e-6) -> float:
    return experiments.worst_case_share(horizon, discount, size, 0.0, form)


def best_sequences(model: tabular.MDP, values: Array, horizon: int) -> tuple[tabular.Plan, Array]:
    """The open-loop plans [S, H] of one MDP and their returns in the model [S], by trying all.

    Such a plan fixes its actions beforehand, as ARC and CEM do, so it cannot answer to chance.
    """
    size, num_actions = model.rewards.shape
    sequences = np.array(list(itertools.product(range(num_actions), repeat=horizon)), dtype=np.intp)
    returns = np.empty((len(sequences), size))
    for row, sequence in zip(returns, sequences, strict=True):
        rewards, ends = tabular.carry_out(model, np.repeat(sequence[:, None], size, axis=1))
        row[:] = rewards + model.discount**horizon * ends @ values
    return sequences[returns.argmax(axis=0)], returns.max(axis=0)


def evaluate_sequences(mdp: tabular.MDP, sequences: tabular.Plan) -> Array:
    """Value [S] of carrying out the open-loop plan [H] of each state, again and again."""
    size, steps = sequences.shape
    plans = [tabular.carry_out(mdp, np.repeat(row[:, None], size, axis=1)) for row in sequences]
    rewards = np.array([gained[state] for state, (gained, _) in enumerate(plans)])
    ends = np.array([reached[state] for state, (_, reached) in enumerate(plans)])
    return tabular.repeat(mdp, rewards, ends, steps)


# The formulas


def test_theorem_1_by_hand() -> None:
    # C = 3 (0 + 0.5 + 0.25 * 2) 0.1 + 0.125 * 3 * 0.1 * 4 = 0.3 + 0.15
    assert bounds.model_term(0.1, 3, 0.5, 3.0, 4.0) == pytest.approx(0.45)
    # 2 / (1 - 1/8) (0.45 + 0.2 / 2 + 0.8 / 8)
    assert bounds.theorem1(0.1, 0.8, 3, 0.5, 3.0, 4.0, 0.2) == pytest.approx(2 / 0.875 * 0.65)
    # As printed: 3 (1 + 0.5 + 0.25) 0.1 in place of 0.3.
    assert bounds.model_term(0.1, 3, 0.5, 3.0, 4.0, 'main') == pytest.approx(0.525 + 0.15)
    # Replanning: 2 / (1 - 0.5).
    assert bounds.replanning(0.1, 0.8, 3, 0.5, 3.0, 4.0, 0.2) == pytest.approx(4 * 0.65)


@given(discount=DISCOUNTS, value_error=st.floats(0, 100), sizes=st.floats(0, 100))
def test_lemma_1_is_theorem_1_without_model_error_at_one_step(
    discount: float, value_error: float, sizes: float
) -> None:
    expected = discount / (1 - discount) * 2 * value_error
    assert bounds.lemma1(value_error, discount) == pytest.approx(expected)
    for form in ('appendix', 'main'):
        one = bounds.theorem1(0.0, value_error, 1, discount, sizes, sizes, form=form)  # type: ignore[arg-type]
        assert one == pytest.approx(expected)
    assert bounds.replanning(0.0, value_error, 1, discount, sizes, sizes) == pytest.approx(expected)


@given(discount=DISCOUNTS, horizon=st.integers(1, 200))
def test_with_the_widest_values_the_models_part_is_the_same_for_every_horizon(
    discount: float, horizon: int
) -> None:
    bound = bounds.theorem1(0.01, 0.0, horizon, discount, 1.0, 1 / (1 - discount))
    assert bound == pytest.approx(2 * 0.01 * discount / (1 - discount) ** 2)


@given(discount=DISCOUNTS, value_max=st.floats(0, 100))
def test_up_to_three_steps_the_printed_bound_is_the_wider_one(
    discount: float, value_max: float
) -> None:
    for horizon in (1, 2, 3):
        sizes = (0.1, horizon, discount, 1.0, value_max)
        assert bounds.model_term(*sizes, form='main') >= bounds.model_term(*sizes) - 1e-12


@pytest.mark.parametrize(
    ('change', 'message'),
    [({'horizon': 0}, 'at least one step'), ({'discount': 1.0}, 'discount 1.0'),
     ({'value_error': -1.0}, 'negative'), ({'model_error': -0.1}, 'negative')],
)  # fmt: skip
def test_a_bound_that_does_not_apply_says_why(change: dict[str, float], message: str) -> None:
    arguments = {'model_error': 0.0, 'value_error': 0.0, 'horizon': 1, 'discount': 0.5}
    with pytest.raises(ValueError, match=message):
        bounds.theorem1(**{**arguments, **change}, reward_max=1.0, value_max=1.0)  # type: ignore[arg-type]


# The tools


def test_values_and_plans_of_a_problem_by_hand() -> None:
    """From state 0, action 1 takes 0 for now and leads to state 1, which pays 1 for ever."""
    transitions = np.zeros((2, 2, 2))
    transitions[0, 0, 0] = transitions[0, 1, 1] = 1.0
    transitions[1, :, 1] = 1.0
    mdp = tabular.MDP(transitions, np.array([[0.25, 0.0], [1.0, 1.0]]), 0.5)
    assert tabular.optimal_values(mdp) == pytest.approx([1.0, 2.0])
    # With V^ = 0: one step prefers 0.25, two steps 0 + 0.5.
    plan = tabular.lookahead(mdp, np.zeros(2), 2)
    assert plan[:, 0].tolist() == [1, 0]
    rewards, ends = tabular.carry_out(mdp, plan)
    assert rewards == pytest.approx([0.5, 1.5])
    assert ends.tolist() == [[0.0, 1.0], [0.0, 1.0]]
    assert tabular.evaluate(mdp, plan) == pytest.approx([1.0, 2.0])
    # The last step alone, for ever: 0.25 / (1 - 0.5).
    assert tabular.evaluate_replanning(mdp, plan[1:]) == pytest.approx([0.5, 2.0])


@given(seed=st.integers(0, 2**32 - 1), discount=DISCOUNTS, horizon=HORIZONS)
@settings(max_examples=40)
def test_evaluation_agrees_with_stepping_on_and_on(
    seed: int, discount: float, horizon: int
) -> None:
    generator = np.random.default_rng(seed)
    mdp = errors.random_mdp(generator, 5, 3, 2, discount, batch=(2,))
    plan = generator.integers(0, 3, (horizon, 2, 5))
    values = np.zeros((2, 5))
    for _ in range(1 + 1200 // horizon):  # 0.97^1200 = 1e-16
        for actions in plan[::-1]:
            scores = mdp.action_values(values)
            values = np.take_along_axis(scores, actions[..., None], axis=-1)[..., 0]
    assert tabular.evaluate(mdp, plan) == pytest.approx(values, rel=1e-9)


@given(seed=st.integers(0, 2**32 - 1), horizon=st.integers(1, 4))
@settings(max_examples=20)
def test_no_sequence_beats_the_plan_and_optimal_values_make_it_optimal(
    seed: int, horizon: int
) -> None:
    mdp = errors.random_mdp(np.random.default_rng(seed), 4, 2, 2, 0.9)
    optimal = tabular.optimal_values(mdp)
    plan = tabular.lookahead(mdp, optimal, horizon)
    assert tabular.evaluate(mdp, plan) == pytest.approx(optimal)
    assert tabular.evaluate_replanning(mdp, plan) == pytest.approx(optimal)
    assert np.all(best_sequences(mdp, optimal, horizon)[1] <= optimal + 1e-9)
    sequences, _ = best_sequences(mdp, optimal, 1)
    assert evaluate_sequences(mdp, sequences) == pytest.approx(optimal)


@given(seed=st.integers(0, 2**32 - 1), size=st.floats(0, 1), branching=st.integers(1, 6))
@settings(max_examples=50)
def test_errors_are_as_large_as_asked(seed: int, size: float, branching: int) -> None:
    generator = np.random.default_rng(seed)
    mdp = errors.random_mdp(generator, 6, 3, branching, 0.9, batch=(3,))
    optimal = tabular.optimal_values(mdp)
    scores = mdp.action_values(optimal)
    random = errors.random_model(generator, mdp, size, branching)
    misleading = errors.misleading_model(mdp, size, optimal, scores)
    for model in (mdp, random, misleading):
        assert model.transitions.min() >= 0
        assert model.transitions.sum(axis=-1) == pytest.approx(1.0)
        distance = errors.total_variation(mdp.transitions, model.transitions)
        assert distance.max() <= size + 1e-9
    assert np.count_nonzero(mdp.transitions, axis=-1).max() == branching
    # Moving all that can be moved makes the best action look worst, by as much as can be.
    flattered = misleading.action_values(optimal) - scores
    best = scores == scores.max(axis=-1, keepdims=True)
    assert np.all(flattered[best] <= 1e-9)
    assert np.all(flattered[~best] >= -1e-9)
    wrong = errors.wrong_values(generator, optimal, size)
    assert np.abs(wrong - optimal).max() == pytest.approx(size, abs=1e-9) or wrong.min() == 0


def test_a_random_model_is_wrong_by_the_distance_where_the_drawn_rows_are_that_far_off() -> None:
    generator = np.random.default_rng(0)
    mdp = errors.random_mdp(generator, 30, 4, 3, 0.9)
    model = errors.random_model(generator, mdp, 0.2, 3)
    distance = errors.total_variation(mdp.transitions, model.transitions)
    assert np.mean(np.isclose(distance, 0.2)) > 0.99


# The bounds hold


@given(
    seed=st.integers(0, 2**32 - 1),
    discount=DISCOUNTS,
    horizon=HORIZONS,
    model_error=st.floats(0, 1),
    value_error=st.floats(0, 10),
    slack=st.floats(0, 1),
    branching=st.integers(1, 4),
    rewarded=st.floats(0.1, 1),
    misleading=st.booleans(),
)
@settings(max_examples=300)
def test_the_bounds_hold(
    seed: int,
    discount: float,
    horizon: int,
    model_error: float,
    value_error: float,
    slack: float,
    branching: int,
    rewarded: float,
    misleading: bool,
) -> None:
    """A plan is as bad as `slack` a step allows, which adds up to planner_error."""
    generator = np.random.default_rng(seed)
    mdp = errors.random_mdp(generator, 5, 3, branching, discount, rewarded, batch=(8,))
    optimal = tabular.optimal_values(mdp)
    scores = mdp.action_values(optimal)
    model = errors.random_model(generator, mdp, model_error, branching)
    if misleading:
        model = errors.misleading_model(mdp, model_error, optimal, scores)
    values = errors.wrong_values(generator, optimal, value_error)
    plan = tabular.lookahead(model, values, horizon, slack, prefer=-scores)
    planner_error = slack * sum(discount**step for step in range(horizon))
    lost = optimal - tabular.evaluate(mdp, plan)
    lost_replanning = optimal - tabular.evaluate_replanning(mdp, plan)
    for problem, value_max in enumerate(values.max(axis=-1)):
        sizes = (model_error, value_error, horizon, discount, 1.0, float(value_max))
        assert lost[problem].max() <= bounds.theorem1(*sizes, planner_error) + 1e-7
        assert lost_replanning[problem].max() <= bounds.replanning(*sizes, slack) + 1e-7


@given(
    seed=st.integers(0, 2**32 - 1),
    discount=DISCOUNTS,
    horizon=HORIZONS,
    model_error=st.floats(0, 1),
)
@settings(max_examples=100)
def test_returns_in_the_model_are_off_by_no_more_than_the_model_term(
    seed: int, discount: float, horizon: int, model_error: float
) -> None:
    """Eq. 36 for any plan: half the L1 distance suffices, as rewards are not negative."""
    generator = np.random.default_rng(seed)
    mdp = errors.random_mdp(generator, 5, 3, 2, discount, batch=(8,))
    model = errors.random_model(generator, mdp, model_error, 2)
    plan = generator.integers(0, 3, (horizon, 8, 5))
    values = generator.uniform(0, 7, (8, 5))

    def returns(world: tabular.MDP) -> Array:
        rewards, ends = tabular.carry_out(world, plan)
        return rewards + discount**horizon * (ends @ values[..., None])[..., 0]

    apart = np.abs(returns(mdp) - returns(model)).max()
    assert apart <= bounds.model_term(model_error, horizon, discount, 1.0, values.max()) + 1e-9


# Where they are reached, and what they do not say


@pytest.mark.parametrize('horizon', [1, 2, 5, 10])
@pytest.mark.parametrize('discount', [0.5, 0.9, 0.99])
@pytest.mark.parametrize('kind', ['model', 'value', 'planner', 'all'])
def test_the_worst_case_comes_as_close_to_theorem_1_as_one_likes(
    horizon: int, discount: float, kind: str
) -> None:
    small = {'model': 1e-3 * (1 - discount) ** 2, 'value': 1e-3, 'planner': 1e-3 * (1 - discount)}
    sizes = [size * (kind in (name, 'all')) for name, size in small.items()]
    case = examples.worst_case(horizon, discount, *sizes)
    optimal = tabular.optimal_values(case.mdp)
    lost = (optimal - tabular.evaluate(case.mdp, case.plan))[case.start]
    model_error, value_error, planner_error = sizes
    bound = bounds.theorem1(
        model_error, value_error, horizon, discount, 1.0, float(case.values.max()), planner_error
    )
    assert 0.98 < lost / bound <= 1
    # The case is what it claims to be.
    distance = errors.total_variation(case.mdp.transitions, case.model.transitions)
    assert distance.max() <= model_error + 1e-12
    assert np.abs(case.values - optimal).max() <= value_error + 1e-10
    assert in_the_model(case, best=True) - in_the_model(case) <= planner_error + 1e-12
    if kind in ('model', 'value'):  # the planner finds this plan by itself
        plan = tabular.lookahead(case.model, case.values, horizon)
        found = (optimal - tabular.evaluate(case.mdp, plan))[case.start]
        assert found == pytest.approx(lost, rel=1e-6)


def in_the_model(case: examples.Example, best: bool = False) -> float:
    """Return in the model of the case's plan, or of the best one, with V^ at its end."""
    horizon = len(case.plan)
    plan = tabular.lookahead(case.model, case.values, horizon) if best else case.plan
    rewards, ends = tabular.carry_out(case.model, plan)
    return float((rewards + case.model.discount**horizon * ends @ case.values)[case.start])


def test_eq_5_as_printed_does_not_hold() -> None:
    """Without the factor t the model's error does not add up along the plan."""
    for horizon in (1, 2, 3):
        assert worst_share(horizon, 0.9, 'main') < 1
    assert worst_share(4, 0.9, 'main') == pytest.approx(1.043, abs=1e-3)
    assert worst_share(30, 0.9, 'main') == pytest.approx(3.866, abs=1e-3)
    assert worst_share(100, 0.9, 'main') == pytest.approx(
        8.976, abs=1e-3
    )  # towards discount / (1 - discount)
    # Not only for tiny errors: with a model that is wrong by 2%.
    assert worst_share(30, 0.9, 'main', 0.02) == pytest.approx(2.843, abs=1e-3)
    for horizon in (4, 30, 100):
        assert 0.7 < worst_share(horizon, 0.9, 'appendix', 0.02) <= 1


@pytest.mark.parametrize('horizon', [1, 2, 3, 10])
def test_replanning_can_lose_more_than_theorem_1_and_reaches_its_own_bound(horizon: int) -> None:
    case = examples.procrastination(horizon, 0.9, 0.01)
    plan = tabular.lookahead(case.mdp, case.values, horizon)
    assert plan[:, 0].tolist() == case.plan[:, 0].tolist()
    optimal = tabular.optimal_values(case.mdp)
    assert np.abs(case.values - optimal).max() == pytest.approx(0.01)
    again = (optimal - tabular.evaluate_replanning(case.mdp, plan))[0]
    carried_out = (optimal - tabular.evaluate(case.mdp, plan))[0]
    sizes = (0.0, 0.01, horizon, 0.9, 1.0, float(case.values.max()))
    assert again == pytest.approx(bounds.replanning(*sizes))
    assert carried_out <= bounds.theorem1(*sizes) + 1e-9
    assert (again > 1.5 * bounds.theorem1(*sizes)) == (horizon > 1)


def test_sequences_fixed_beforehand_lose_without_any_error() -> None:
    """Eq. 3 maximises over sequences; the proof needs plans that see the state."""
    case = examples.coin(0.95)
    optimal = tabular.optimal_values(case.mdp)
    sequences, returns = best_sequences(case.mdp, optimal, 2)
    lost = (optimal - evaluate_sequences(case.mdp, sequences))[0]
    assert lost == pytest.approx((0.95 - 0.6) / (1 - 0.95**2))
    assert (optimal - tabular.evaluate(case.mdp, case.plan))[0] == pytest.approx(0, abs=1e-9)
    # Replanning with the sequence's first action does not help: it never bets.
    assert (optimal - evaluate_sequences(case.mdp, sequences[:, :1]))[0] > 3
    planner_error = float((optimal - returns).max())
    assert lost <= bounds.theorem1(0.0, 0.0, 2, 0.95, 1.0, 11.0, planner_error) + 1e-9


def test_errors_too_large_for_the_examples_say_so() -> None:
    with pytest.raises(ValueError, match='probability beyond 1'):
        examples.worst_case(3, 0.9, 0.9)
    with pytest.raises(ValueError, match='below 0'):
        examples.worst_case(3, 0.9, 0.0, 11.0)
    with pytest.raises(ValueError, match='less than 0'):
        examples.procrastination(2, 0.9, 1.0)


# The page


@pytest.mark.slow
def test_theory_writes_pictures_and_figures(tmp_path: Path) -> None:
    out = tmp_path / 'deep' / 'out'
    assert main(['theory', '--out', str(out), '--problems', '4']) == 0
    for name in ('tightness', 'trade_off', 'best_horizon'):
        assert (out / f'{name}.png').read_bytes().startswith(b'\x89PNG\r\n\x1a\n')
    figures = json.loads((out / 'theory.json').read_text())
    for row in figures['loss as a share of the bound']:
        assert row['problems'] == 16
        assert 0 <= row['median'] <= row['99%'] <= row['most'] <= 1
    for grid in figures['best horizon (0: no model)'].values():
        assert np.shape(grid) == (len(experiments.VALUE_ERRORS), len(experiments.MODEL_ERRORS))


def test_a_longer_horizon_pays_where_the_value_is_wrong_and_not_where_the_model_is() -> None:
    for grid in experiments.best_horizons(8, seed=0).values():
        best = np.array(grid)
        assert best[-1, 0] >= 12  # wrong values, right model
        assert best[1, -1] == 0  # nearly right values, wrong model: better none
        assert best[0, 1] == 0
