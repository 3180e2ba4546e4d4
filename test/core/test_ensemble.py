# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The ensemble recovers what is known, knows what it does not, and stops in time."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from loop_ros.learning import ensemble_trainer
from loop_ros.learning.ensemble_trainer import EnsembleTrainer
from loop_ros.models.ensemble import Ensemble
from loop_ros.models.normalizer import Normalizer
from loop_ros.models.planning_ensemble import PlanningEnsemble
from loop_ros.settings import EnsembleSettings
from loop_ros.types import Batch

NOISE = (0.05, 0.2)  # standard deviations of the two state dimensions
REWARD_NOISE = 0.1


def linear_data(num: int, seed: int = 0) -> Batch:
    """s' = s + 0.5 s_2 e_1 - 0.8 a e_2 + noise, r = 2 s_1 - a + noise, cost = 1 where s_1 > 0."""
    generator = torch.Generator().manual_seed(seed)
    state = 2 * torch.rand(num, 2, generator=generator) - 1
    action = 2 * torch.rand(num, 1, generator=generator) - 1
    noise = torch.randn(num, 3, generator=generator) * torch.tensor([*NOISE, REWARD_NOISE])
    delta = torch.stack((0.5 * state[:, 1], -0.8 * action[:, 0]), dim=1)
    return Batch(
        state,
        action,
        2 * state[:, 0] - action[:, 0] + noise[:, 2],
        (state[:, 0] > 0).float(),
        state + delta + noise[:, :2],
        torch.zeros(num),
    )


def make(**changes: Any) -> tuple[Ensemble, EnsembleTrainer]:
    settings = EnsembleSettings(
        **{'num_models': 3, 'num_layers': 2, 'width': 32, 'learning_rate': 2e-3, **changes}
    )
    torch.manual_seed(0)
    ensemble = Ensemble(2, 1, settings)
    return ensemble, EnsembleTrainer(ensemble, settings, torch.Generator().manual_seed(1))


@pytest.fixture(scope='module')
def trained() -> tuple[Ensemble, dict[str, float]]:
    ensemble, trainer = make()
    return ensemble, trainer.train(linear_data(3000))


def expand(ensemble: Ensemble, batch: Batch) -> tuple[Tensor, Tensor]:
    models = ensemble.num_models
    return batch.state.expand(models, -1, -1), batch.action.expand(models, -1, -1)


def test_an_ensemble_recovers_a_linear_map(trained: tuple[Ensemble, Any]) -> None:
    ensemble, _ = trained
    fresh = linear_data(500, seed=9)
    with torch.no_grad():
        predicted = ensemble.predict(*expand(ensemble, fresh))
    delta = torch.stack((0.5 * fresh.state[:, 1], -0.8 * fresh.action[:, 0]), dim=1)
    for k in range(3):
        error = predicted.next_state[k] - fresh.state - delta
        assert error.square().mean().sqrt() < 0.05
        reward_error = predicted.reward[k] - (2 * fresh.state[:, 0] - fresh.action[:, 0])
        assert reward_error.square().mean().sqrt() < 0.08
        sure = fresh.state[:, 0].abs() > 0.3
        assert ((predicted.cost[k] > 0.5).float() == fresh.cost)[sure].float().mean() > 0.98


def test_an_ensemble_recovers_the_noise_of_each_dimension(trained: tuple[Ensemble, Any]) -> None:
    """Sampled predictions scatter round their means as the data do, within 20%."""
    ensemble, _ = trained
    where = expand(ensemble, linear_data(4000, seed=9))
    noise = torch.randn(3, 4000, 3, generator=torch.Generator().manual_seed(2))
    with torch.no_grad():
        sampled, mean = ensemble.predict(*where, noise), ensemble.predict(*where)
    for k in range(3):
        scatter = (sampled.next_state[k] - mean.next_state[k]).square().mean(dim=0).sqrt()
        assert scatter.tolist() == pytest.approx(NOISE, rel=0.2)
        scatter = (sampled.reward[k] - mean.reward[k]).square().mean().sqrt()
        assert scatter.item() == pytest.approx(REWARD_NOISE, rel=0.2)


def test_the_copy_for_planning_predicts_the_same(trained: tuple[Ensemble, Any]) -> None:
    """Whole rollouts, with and without noise, against `predict` step by step."""
    ensemble, _ = trained
    generator = torch.Generator().manual_seed(0)
    state, actions, noise = (
        torch.randn(*shape, generator=generator) for shape in ((2,), (5, 4, 1), (5, 3, 6, 3))
    )
    copy = PlanningEnsemble(ensemble)
    for drawn, rows in ((None, 4), (noise, 24)):
        path, rewards, costs = copy.roll(state, actions, drawn)
        states = state.expand(3, rows, 2)
        for t in range(5):
            action = actions[t].repeat_interleave(rows // 4, dim=0).expand(3, -1, -1)
            with torch.no_grad():
                exact = ensemble.predict(states, action, None if drawn is None else drawn[t])
            torch.testing.assert_close(path[t], exact.next_state, rtol=1e-4, atol=1e-4)
            torch.testing.assert_close(rewards[t], exact.reward, rtol=1e-4, atol=1e-4)
            torch.testing.assert_close(costs[t], exact.cost, rtol=1e-4, atol=1e-4)
            states = exact.next_state
    means = copy.step(states[:, :7], actions[0, :1].expand(3, 7, 1))
    with torch.no_grad():
        exact = ensemble.predict(states[:, :7], actions[0, :1].expand(3, 7, 1))
    torch.testing.assert_close(means, exact.next_state, rtol=1e-4, atol=1e-4)


def test_a_refreshed_copy_has_the_present_weights_and_scales(trained: tuple[Ensemble, Any]) -> None:
    trained_ensemble, _ = trained
    ensemble = copy.deepcopy(trained_ensemble)
    planning = PlanningEnsemble(ensemble)
    with torch.no_grad():
        for tensor in (*ensemble.parameters(), *ensemble.buffers()):
            tensor.mul_(1.1)
    state, actions = torch.tensor([0.3, -0.2]), torch.full((2, 1, 1), 0.5)
    noise = torch.ones(2, 3, 1, 3)
    stale = planning.roll(state, actions, noise).states.clone()
    planning.refresh()
    fresh = planning.roll(state, actions, noise).states
    torch.testing.assert_close(fresh, PlanningEnsemble(ensemble).roll(state, actions, noise).states)
    assert (fresh - stale).abs().max() > 1e-3


def test_bfloat16_rounds_by_less_than_the_models_disagree(trained: tuple[Ensemble, Any]) -> None:
    """Also where the state is far from zero: rounding happens in normalised units."""
    ensemble, _ = trained
    generator = torch.Generator().manual_seed(0)
    state, actions = torch.tensor([0.4, -0.3]), torch.randn(5, 20, 1, generator=generator)
    exact = PlanningEnsemble(ensemble).roll(state, actions)
    rounded = PlanningEnsemble(ensemble, torch.bfloat16).roll(state, actions)
    for ours, theirs in zip(rounded, exact, strict=True):
        assert ours.dtype == torch.float32
        error, scale = (ours - theirs).abs().mean(), theirs.std()
        assert 0 < error < 0.01 * scale


def test_noise_drives_every_block_of_rows_alike() -> None:
    ensemble, _ = make()
    noise = torch.randn(3, 4, 3, generator=torch.Generator().manual_seed(0))
    state, action = torch.zeros(3, 12, 2), torch.zeros(3, 12, 1)
    with torch.no_grad():
        blocks = ensemble.predict(state, action, noise).next_state.unflatten(1, (3, 4))
    torch.testing.assert_close(blocks[:, 0], blocks[:, 2])
    assert blocks[:, 0].std(dim=1).min() > 0.1


def test_models_disagree_where_there_are_no_data(trained: tuple[Ensemble, Any]) -> None:
    ensemble, _ = trained

    def disagreement(scale: float) -> float:
        direction = linear_data(500, seed=5).state
        far = scale * direction / direction.norm(dim=1, keepdim=True)
        with torch.no_grad():
            predicted = ensemble.predict(far.expand(3, -1, -1), torch.zeros(3, 500, 1))
        return predicted.next_state.std(dim=0).mean().item()

    assert disagreement(6.0) > 5 * disagreement(0.5) > 0.0


def test_the_report_says_what_the_models_are_worth(trained: tuple[Ensemble, Any]) -> None:
    """model_error: root mean squared holdout error over the targets' spread; noise is its floor."""
    ensemble, report = trained
    spread = ensemble.targets.std
    floor = (torch.tensor([*NOISE, REWARD_NOISE]) / spread).square().mean().sqrt().item()
    assert floor * 0.9 < report['model_error'] < floor * 1.3
    assert report['model_epochs'] >= 5


def test_training_goes_on_from_present_weights() -> None:
    ensemble, trainer = make(max_epochs=15)
    data = linear_data(1000)
    first = trainer.train(data)
    again = trainer.train(data)
    assert again['model_loss'] <= first['model_loss'] + 0.01
    # A fresh network needs several epochs to get where the next training starts.
    start = make(max_epochs=1)[1].train(data)
    assert start['model_loss'] > first['model_loss'] + 0.3


def weights(ensemble: Ensemble) -> list[Tensor]:
    return [p.detach().clone() for p in ensemble.parameters()]


def test_best_weights_come_back_when_training_makes_it_worse(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Every epoch spoils the weights: after `patience` of them they are as they were."""
    ensemble, trainer = make(patience=4)
    data = linear_data(300)
    ensemble.fit_normalizers(data)
    before = weights(ensemble)

    def spoil(_: Any) -> None:
        with torch.no_grad():
            for p in ensemble.network.parameters():
                p.add_(torch.randn(p.shape))

    monkeypatch.setattr(trainer, '_epoch', spoil)
    report = trainer.train(data)
    assert report['model_epochs'] == 4
    for old, new in zip(before, ensemble.parameters(), strict=True):
        assert torch.equal(old, new)


def test_each_model_keeps_its_own_best_epoch(monkeypatch: pytest.MonkeyPatch) -> None:
    """Model 0 is best after epoch 1, model 1 after epoch 2, model 2 at the start."""
    ensemble, trainer = make(patience=2)
    data = linear_data(300)
    ensemble.fit_normalizers(data)
    with torch.no_grad():
        for p in ensemble.network.parameters():
            p.zero_()
    bias: Any = ensemble.network.layers[-1].bias
    # The mean of the normalised targets is zero, so the loss grows with the bias of the mean.
    offsets = iter([[0.0, 2.0, 2.5], [1.0, 0.5, 3.0], [2.0, 1.0, 4.0], [2.0, 1.0, 4.0]])

    def scripted(_: Any) -> None:
        with torch.no_grad():
            bias[:, 0, :2] = torch.tensor(next(offsets))[:, None]

    with torch.no_grad():
        bias[:, 0, :2] = torch.tensor([3.0, 3.0, 2.0])[:, None]
    monkeypatch.setattr(trainer, '_epoch', scripted)
    assert trainer.train(data)['model_epochs'] == 4
    assert bias[:, 0, 0].tolist() == [0.0, 0.5, 2.0]


def test_the_reported_loss_is_that_of_the_restored_models() -> None:
    ensemble, trainer = make(max_epochs=30)
    data = linear_data(400)
    report = trainer.train(data)
    with torch.no_grad():
        x = ensemble.inputs.normalize(torch.cat((data.state, data.action), dim=-1))
        target = ensemble.targets.normalize(ensemble.raw_targets(data))
        held_out = torch.arange(400) % 10 == 9
        parts = (part[held_out].expand(3, *part[held_out].shape) for part in (x, target, data.cost))
        loss = ensemble.negative_log_likelihood(*parts)
    assert report['model_loss'] == pytest.approx(loss.mean().item(), abs=1e-3)


def watch(
    ensemble: Ensemble, trainer: EnsembleTrainer, monkeypatch: pytest.MonkeyPatch
) -> tuple[list[Tensor], set[float]]:
    """Identities (kept in the cost) [K, B] trained on, and of those only looked at."""
    trained_on: list[Tensor] = []
    looked_at: set[float] = set()
    step, loss = trainer._step, ensemble.negative_log_likelihood

    def recorded_step(rows: Tensor) -> None:
        trained_on.append(rows[..., -1])
        step(rows)

    def recorded_loss(x: Tensor, target: Tensor, cost: Tensor, beta: float = 0.0) -> Tensor:
        if not torch.is_grad_enabled():
            looked_at.update(cost.flatten().tolist())
        return loss(x, target, cost, beta)

    monkeypatch.setattr(trainer, '_step', recorded_step)
    monkeypatch.setattr(ensemble, 'negative_log_likelihood', recorded_loss)
    return trained_on, looked_at


@pytest.mark.parametrize('fraction', [0.1, 0.25, 0.5])
def test_the_holdout_is_never_trained_on(fraction: float, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither in one training nor in a later one with more data."""
    ensemble, trainer = make(holdout_fraction=fraction, max_epochs=2)
    batches, held_out = watch(ensemble, trainer, monkeypatch)
    numbered = linear_data(400)._replace(cost=torch.arange(400.0))
    trainer.train(Batch(*(part[:200] for part in numbered)))
    assert len(held_out) == pytest.approx(200 * fraction, abs=1)
    trainer.train(numbered)
    trained_on = {number for batch in batches for number in batch.flatten().tolist()}
    assert not trained_on & held_out
    assert trained_on | held_out == set(range(400))
    assert len(held_out) == pytest.approx(400 * fraction, abs=1)


def test_every_model_sees_every_transition_in_its_own_order(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    ensemble, trainer = make(max_epochs=1, batch_size=16)
    batches, _ = watch(ensemble, trainer, monkeypatch)
    trainer.train(linear_data(100)._replace(cost=torch.arange(100.0)))
    seen = torch.cat(batches, dim=1)
    assert seen.shape == (3, 90)
    assert all(set(row.tolist()) == set(seen[0].tolist()) for row in seen)
    assert len({tuple(row.tolist()) for row in seen}) == 3


@pytest.mark.parametrize('epochs', [1, 2, 4])
def test_stop_ends_training_early(epochs: int) -> None:
    """It is asked after each epoch, so that even a learner that lags behind learns something."""

    def after(count: int) -> Callable[[], bool]:
        answers = iter([False] * (count - 1) + [True])
        return lambda: next(answers)

    _, trainer = make()
    report = trainer.train(linear_data(200), after(epochs))
    assert report['model_epochs'] == epochs
    assert math.isfinite(report['model_loss'])


def test_training_is_seeded() -> None:
    def once() -> list[Tensor]:
        ensemble, trainer = make(max_epochs=2)
        trainer.train(linear_data(200))
        return weights(ensemble)

    assert all(torch.equal(a, b) for a, b in zip(once(), once(), strict=True))


@pytest.mark.parametrize('learn', [True, False])
def test_variance_bounds_are_learned_or_kept(learn: bool) -> None:
    ensemble, trainer = make(learn_variance_bounds=learn, max_epochs=3)
    trainer.train(linear_data(200))
    moved = not bool((ensemble.max_log_var == 0.5).all())
    assert moved is learn
    assert bool((ensemble.min_log_var == -10.0).all()) is not learn


def test_log_variance_stays_between_its_bounds() -> None:
    ensemble, _ = make()
    with torch.no_grad():
        for x in (1e6, -1e6):
            _, log_var, _ = ensemble(torch.full((3, 1, 3), x))
            assert log_var.max() <= 0.5 + 1e-4
            assert log_var.min() >= -10.0 - 1e-4


def test_normaliser_by_hand() -> None:
    normalizer = Normalizer(2)
    normalizer.fit(torch.tensor([[1.0, 7.0], [3.0, 7.0]]))
    scaled = normalizer.normalize(torch.tensor([[3.0, 7.5]]))
    assert scaled.tolist() == [[1.0, 0.5]]  # a constant dimension keeps its scale
    assert normalizer.denormalize(scaled).tolist() == [[3.0, 7.5]]


def test_scales_of_the_data_do_not_matter() -> None:
    """The same world in millimetres is learned as well as in metres."""
    data = linear_data(1500)
    scaled = data._replace(
        state=1000 * data.state, next_state=1000 * data.next_state, reward=1e-3 * data.reward
    )
    errors = [make(max_epochs=10)[1].train(batch)['model_error'] for batch in (data, scaled)]
    assert errors[1] == pytest.approx(errors[0], rel=0.02)


@pytest.mark.parametrize(('most', 'epochs'), [(12, 2), (13, 3), (0, 4)])
def test_a_training_ends_after_its_number_of_gradient_steps(most: int, epochs: int) -> None:
    """90 transitions to learn from, in batches of 16, are 6 steps an epoch."""
    _, trainer = make(batch_size=16, max_epochs=4, patience=100, max_updates=most)
    assert trainer.train(linear_data(100))['model_epochs'] == epochs


def test_a_long_holdout_is_judged_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    """As if at once: 30 rows in parts of 7, the last one shorter."""
    ensemble, trainer = make()
    rows = torch.randn(30, ensemble.inputs.mean.numel() + ensemble.noisy_dim + 1)
    widths = (ensemble.inputs.mean.numel(), ensemble.noisy_dim, 1)
    x, target, cost = rows.split(widths, dim=1)
    data = [x, target, cost[:, 0]]
    found = []
    for size in (30, 7):
        monkeypatch.setattr(ensemble_trainer, 'ROWS', size)
        found.append((trainer._holdout_loss(data), trainer._relative_error(data)))
    torch.testing.assert_close(found[0][0], found[1][0])
    assert found[0][1] == pytest.approx(found[1][1])


def test_a_classified_cost_is_none_where_it_is_safe_and_near_one_where_not() -> None:
    """Of five models the worst counts: what regression leaves everywhere would be cost everywhere.

    One transition in twenty costs: those that start beyond 1.6 of a normal distribution.
    """
    generator = torch.Generator().manual_seed(0)
    state = torch.randn(3000, 3, generator=generator)
    action = torch.rand(3000, 1, generator=generator)
    data = Batch(
        state=state,
        action=action,
        reward=state[:, 0],
        cost=(state[:, 0] > 1.6).float(),
        next_state=0.9 * state,
        terminated=torch.zeros(3000),
    )
    worst = {}
    for head in ('classifier', 'regression'):
        settings = EnsembleSettings(
            num_layers=2, width=32, learning_rate=3e-3, max_updates=600, cost_head=head
        )
        torch.manual_seed(0)
        ensemble = Ensemble(3, 1, settings)
        EnsembleTrainer(ensemble, settings, torch.Generator().manual_seed(1)).train(data)
        with torch.no_grad():
            inputs = (part.expand(5, -1, -1) for part in (state, action))
            worst[head] = ensemble.predict(*inputs).cost.amax(dim=0)
    safe, unsafe = state[:, 0] < 1.4, state[:, 0] > 1.8
    assert (worst['classifier'][safe] == 0).float().mean() > 0.99
    assert (worst['classifier'][unsafe] > 0.5).float().mean() > 0.95
    assert (worst['regression'][safe] > 0.02).float().mean() > 0.1  # the noise of the other head


@pytest.mark.parametrize('beta', [0.0, 0.5, 1.0])
def test_errors_are_weighted_by_a_power_of_their_predicted_variance(beta: float) -> None:
    """The mean's gradient is that of the squared error times variance^(beta - 1)."""
    torch.manual_seed(0)
    ensemble = Ensemble(3, 1, EnsembleSettings(num_layers=1, width=8))
    generator = torch.Generator().manual_seed(1)
    x = torch.randn(5, 6, 4, generator=generator)
    target = torch.randn(5, 6, 4, generator=generator)
    with torch.no_grad():
        mean, log_var, cost = ensemble(x)
    bias = ensemble.network.layers[-1].bias
    loss = ensemble.negative_log_likelihood(x, target, cost, beta).sum()
    (gradient,) = torch.autograd.grad(loss, bias)
    expected = (2.0 * (mean - target) * (log_var * (beta - 1.0)).exp()).sum(dim=1) / (6 * 4)
    torch.testing.assert_close(gradient[:, 0, :4], expected)


def test_a_graded_cost_is_refused_where_costs_are_classified() -> None:
    ensemble = Ensemble(3, 1, EnsembleSettings(cost_head='classifier'))
    ensemble.check_cost(torch.tensor([0.0, 1.0]))
    with pytest.raises(ValueError, match=r'a cost of 0.25 is neither 0 nor 1: set ensemble.cost_h'):
        ensemble.check_cost(torch.tensor([0.0, 0.25]))
    Ensemble(3, 1, EnsembleSettings()).check_cost(torch.tensor([0.25]))
