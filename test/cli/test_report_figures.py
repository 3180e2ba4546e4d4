# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What the report shows: statistics, groups of runs, curves; worked out by hand."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from made_up_runs import write_run

from loop_ros.cli.algorithms import ALGORITHMS
from loop_ros.cli.report import aggregates, figures, files, kinds, published, tables
from loop_ros.cli.report.groups import group
from loop_ros.settings import Settings
from loop_ros.sim import registry


def test_interquartile_mean_worked_by_hand() -> None:
    assert aggregates.interquartile_mean(np.array([9.0, 1, 2, 3, 4, 5, 6, -50])) == 3.5  # 2 3 4 5
    assert aggregates.interquartile_mean(np.array([1.0, 2, 6])) == 3.0  # nothing to cut
    stats = pytest.importorskip('scipy.stats')
    for size in range(1, 30):
        values = np.random.default_rng(size).standard_normal(size)
        expected = stats.trim_mean(values, 0.25)
        assert aggregates.interquartile_mean(values) == pytest.approx(expected)


def test_interval_draws_seeds_before_episodes() -> None:
    apart = [np.zeros(4), np.full(4, 10.0)]
    # Both seeds, one or the other: 5, 0 or 10, the latter two in a quarter of resamples each.
    assert aggregates.interval(apart, aggregates.mean) == (0.0, 10.0)
    uneven = [np.zeros(1), np.full(9, 10.0)]
    assert aggregates.interval(uneven, aggregates.mean) == (0.0, 10.0)
    assert aggregates.interval([np.full(5, 3.0)] * 2, aggregates.mean) == (3.0, 3.0)
    assert aggregates.interval([np.array([7.0])], aggregates.mean) is None


def test_interval_of_one_seed_is_that_of_its_episodes() -> None:
    values = np.random.default_rng(0).standard_normal(400)
    interval = aggregates.interval([values], aggregates.mean)
    assert interval is not None
    # Of a mean of n values: the mean +- 1.96 standard errors.
    half = 1.96 * values.std() / 20.0
    assert interval == pytest.approx((values.mean() - half, values.mean() + half), abs=0.02)


def test_bins() -> None:
    steps, values = np.array([100.0, 200, 450, 900]), np.array([1.0, 3, 8, 5])
    found = aggregates.binned(steps, values, 200.0, 6)
    # (0, 200], nothing, (400, 600], nothing, (800, 1000], not reached
    np.testing.assert_allclose(found, [2.0, 5.0, 8.0, 6.5, 5.0, np.nan])
    last_steps = (15_000, 30_000, 100_000, 20)
    assert [aggregates.bin_width(last) for last in last_steps] == [250, 500, 2000, 1]


def test_variants_are_not_merged(tmp_path: Path) -> None:
    found = [
        write_run(
            tmp_path / f'{fraction}_{seed}',
            seed=seed,
            settings={'planner.actor_fraction': fraction},
        )
        for fraction in (0.5, 0.05)
        for seed in range(2)
    ]
    found.append(write_run(tmp_path / 'sac', algorithm='sac', settings={'planner.horizon': 3}))
    tasks, messages = group(found)
    assert {g.label: len(g.runs) for g in tasks['HalfCheetah']} == {
        'loop_sac (planner.actor_fraction=0.05)': 2,
        'loop_sac (planner.actor_fraction=0.5)': 2,
        'sac': 1,
    }
    assert messages == []


def test_variants_by_length_and_by_more_settings_than_a_label_holds(tmp_path: Path) -> None:
    names = ('horizon', 'num_samples', 'num_particles', 'num_iterations', 'min_safe')
    many = {f'planner.{name}': 7 for name in names}
    found = [
        write_run(tmp_path / 'a'),
        write_run(tmp_path / 'b', last_step=2000),
        write_run(tmp_path / 'c', algorithm='sac'),
        write_run(tmp_path / 'd', algorithm='sac', settings=many),
        write_run(tmp_path / 'e', algorithm='sac', settings={**many, 'planner.d0': 1}),
    ]
    labels = [g.label for g in group(found)[0]['HalfCheetah']]
    assert labels[:2] == ['loop_sac (steps=2000)', 'loop_sac (steps=40000)']
    assert len(set(labels)) == 5
    assert any('more' in label for label in labels)


def test_runs_with_other_numbers_of_environments_are_apart(tmp_path: Path) -> None:
    command = 'loop-ros experiment HalfCheetah --steps 2000'
    found = [
        write_run(tmp_path / f'{envs}_{seed}', seed=seed, command=f'{command} {envs}')
        for envs in ('', '--envs 1', '--envs 4')
        for seed in ((1,) if envs == '--envs 1' else (0, 2))
    ]
    tasks, messages = group(found)
    assert {g.label: len(g.runs) for g in tasks['HalfCheetah']} == {
        'loop_sac (envs=1)': 3,
        'loop_sac (envs=4)': 2,
    }
    assert messages == []


def test_runs_of_robots_that_differ_are_apart(tmp_path: Path) -> None:
    command = 'loop-ros experiment HalfCheetah --steps 2000'
    found = [
        write_run(tmp_path / name, command=command + more)
        for name, more in (('plain', ''), ('other', ' --disturb none,friction=0.6'))
    ]
    tasks, messages = group(found)
    labels = [g.label for g in tasks['HalfCheetah']]
    assert labels == ['loop_sac (disturb=none)', 'loop_sac (disturb=none,friction=0.6)']
    assert messages == []


def test_a_label_names_what_most_runs_do_not_have_where_the_task_is_not_here(
    tmp_path: Path,
) -> None:
    names = ('horizon', 'num_samples', 'num_particles', 'num_iterations', 'min_safe')
    many = {f'planner.{name}': 7 for name in names}
    found = [
        write_run(tmp_path / f'{seed}', 'a_robot', seed=seed, settings=many) for seed in range(3)
    ]
    found.append(write_run(tmp_path / 'other', 'a_robot', settings={**many, 'planner.d0': 1}))
    found.append(write_run(tmp_path / 'default', 'a_robot'))
    labels = [g.label for g in group(found)[0]['a_robot']]
    assert {'loop_sac', 'loop_sac (planner.d0=1.0)'} < {*labels}


def test_a_label_of_much_that_differs_names_what_is_not_as_shipped(tmp_path: Path) -> None:
    shipped = Settings.for_task(registry.task('HalfCheetah')).replace(ALGORITHMS['loop_sac'])
    present, earlier = write_run(tmp_path / 'present'), write_run(tmp_path / 'earlier')
    present.result['settings'] = shipped.to_dict()
    found = [earlier, write_run(tmp_path / 'again', seed=1), present]  # most have the defaults
    labels = [g.label for g in group(found)[0]['HalfCheetah']]
    assert 'loop_sac' in labels
    (other,) = set(labels) - {'loop_sac'}
    assert other.startswith('loop_sac (ensemble.beta_nll=0.0, ') and other.endswith(' more)')


def test_a_run_without_a_new_setting_is_one_with_its_default(tmp_path: Path) -> None:
    old, new = write_run(tmp_path / 'old'), write_run(tmp_path / 'new', seed=1)
    del old.result['settings']['planner']['exploration_std']
    ((both,),) = group([old, new])[0].values()
    assert both.label == 'loop_sac'
    assert both.runs == [old, new]


def test_the_same_seed_counts_once(tmp_path: Path) -> None:
    found = [write_run(tmp_path / 'first'), write_run(tmp_path / 'again')]
    ((kept,),) = (groups := group(found))[0].values()
    assert kept.runs == found[:1]
    assert len(groups[1]) == 1
    assert str(tmp_path / 'again') in groups[1][0]


def test_figures_other_than_comparable_ones_are_apart() -> None:
    known = [p for p in published.load() if p.task == 'PointGoal1']
    blocks = {block.heading: block.rows for block in tables.beside([], known)}
    assert [row[0] for row in blocks['not comparable']] == ['RCE', 'CPO']
    (safeloop,) = [row for row in blocks['at 200,000 steps'] if row[0] == 'SafeLOOP']
    assert safeloop[1:4] == ['22.94', '0.04', '200,000']
    assert 'omnisafe@15603dd' in safeloop[4]


def test_published_figures_fit_their_steps(tmp_path: Path) -> None:
    known = published.load()
    assert {p.quantity for p in known} == set(published.QUANTITIES)
    assert all(p.source for p in known)
    path = tmp_path / 'published.yaml'
    path.write_text('[{name: N, source: S, steps: [1, 2], return: {Hopper: {SAC: [5]}}}]')
    with pytest.raises(ValueError, match='return of SAC on Hopper has 1 values for 2 steps'):
        published.load(path)


def test_curves_worked_by_hand(tmp_path: Path) -> None:
    columns = {'actor_divergence': 0.5, 'plan_ms': 0.0}
    found = [
        write_run(tmp_path / str(seed), seed=seed, last_step=3000, columns=columns)
        for seed in range(3)
    ]
    ((seeds,),) = group(found)[0].values()
    known = [p for p in published.load() if p.task == 'HalfCheetah']
    drawn = figures.draw([seeds], known, figures.styles(['loop_sac']))
    by_title = {figure.title: figure.drawn for figure in drawn}
    # No plan time (all 0), no model error, no evaluation: no figure of them.
    assert list(by_title) == [
        'Return while training', 'Cost of an episode while training', 'Cost so far',
        'Actor divergence',
    ]  # fmt: skip
    band, line, *others = by_title['Return while training'].data
    assert list(line.x)[-1] == 3000
    assert line.y[-1] == 3001  # the mean of 3000, 3001 and 3002
    half = len(line.x)
    assert (band.y[half - 1], band.y[half]) == (3002, 3000)
    assert [trace.name for trace in others][0] == 'SAC (Gym v4, 10 seeds)'
    assert list(others[0].x) == [33_000, 49_000, 99_000, 299_000]
    assert by_title['Cost so far'].data[1].y[-1] == 6


def test_published_levels_are_in_sight_but_for_costs(tmp_path: Path) -> None:
    run = write_run(tmp_path / 'run', 'PointGoal1', last_step=3000, settings={'planner.d0': 1})
    for row in run.rows:
        row['return'] = 1.0
    ((alone,),) = group([run])[0].values()
    known = [p for p in published.load() if p.task == 'PointGoal1']
    drawn = figures.draw([alone], known, figures.styles(['loop_sac']))
    by_title = {figure.title: figure.drawn for figure in drawn}
    returns = by_title['Return while training']
    assert {trace.name: trace.y[0] for trace in returns.data}['PETS (OmniSafe, 200k)'] == 27.66
    low, high = returns.layout.yaxis.range
    assert low < 1.0 and 27.66 < high < 30.0
    low, high = by_title['Cost of an episode while training'].layout.yaxis.range
    assert low < 0.0 and 2.0 < high < 3.0  # LOOP's 55.2 is not in sight


def test_the_planners_cost_is_drawn_beside_the_environments(tmp_path: Path) -> None:
    run = write_run(tmp_path / 'run', columns={'planner_cost': 1.0, 'worst_cost': 0.5})
    ((alone,),) = group([run])[0].values()
    drawn = figures.draw([alone], [], figures.styles(['loop_sac']))
    by_title = {figure.title: figure.drawn for figure in drawn}
    environment, planner = by_title["The planner's cost and the environment's"].data
    assert (environment.y[-1], planner.y[-1]) == (2, 1)
    predicted, real = by_title['Predicted and real cost'].data
    # A cost of 2 in 1,000 steps is 2 / 1000 * 8 within the horizon.
    assert (predicted.y[-1], real.y[-1]) == (0.5, 0.016)


def test_a_seed_that_ended_early_leaves_the_rest_alone(tmp_path: Path) -> None:
    long, short = write_run(tmp_path / 'a'), write_run(tmp_path / 'b', last_step=20_000, seed=1)
    short.result['command'] = long.result['command']
    ((both,),) = group([long, short])[0].values()
    grid = kinds.Grid.of(both.runs)
    lines = figures.curve(both, kinds.per_episode('return'), grid)
    assert lines is not None
    assert lines[0][grid.steps == 20_000] == 20_000.5
    assert lines[0][grid.steps == 40_000] == 40_000
    assert any('Ended before' in note and 'b' in note for note in tables.final([both]).notes)


def test_three_published_series_are_shown_at_once_and_the_others_wait(tmp_path: Path) -> None:
    groups, _ = group([write_run(tmp_path / 'run')])
    beside = [p for p in published.load() if p.task == 'HalfCheetah']
    drawn = figures.draw(groups['HalfCheetah'], beside, figures.styles(['loop_sac']))
    series = [trace for trace in drawn[0].drawn.data if trace.line.color == figures.GREY]
    shown = [trace.visible for trace in series]
    assert shown[:3] == [True, True, True]
    assert len(shown) > 3 and set(shown[3:]) == {'legendonly'}


def test_curves_are_files_for_a_paper_too(tmp_path: Path) -> None:
    """A band of the seeds, their mean, and the published series that are shown."""
    groups, _ = group([write_run(tmp_path / f'{seed}', seed=seed) for seed in (0, 1)])
    beside = [p for p in published.load() if p.task == 'HalfCheetah']
    drawn = figures.draw(groups['HalfCheetah'], beside, figures.styles(['loop_sac']))
    paths = files.write(drawn[:1], tmp_path / 'figures', 'HalfCheetah')
    assert [path.name for path in paths] == [
        'halfcheetah-return-while-training.svg',
        'halfcheetah-return-while-training.png',
    ]
    svg = paths[0].read_text()
    assert svg.count('<!-- loop_sac -->') == 1
    assert [name in svg for name in ('REDQ (', 'DroQ (', 'MR.Q (')] == [True, True, False]
    assert paths[1].read_bytes().startswith(b'\x89PNG')


def test_a_long_name_fits_into_the_legend(tmp_path: Path) -> None:
    long = {'planner.horizon': 3, 'planner.num_samples': 9, 'planner.num_iterations': 4}
    runs = [write_run(tmp_path / 'a'), write_run(tmp_path / 'b', settings=long)]
    groups, _ = group(runs)
    labels = [each.label for each in groups['HalfCheetah']]
    drawn = figures.draw(groups['HalfCheetah'], [], figures.styles(labels))
    names = [figures.plain(trace.name) for trace in drawn[0].drawn.data]
    assert [name.replace('\n', ' ') for name in names] == labels
    assert max(len(line) for name in names for line in name.splitlines()) <= 50 < len(labels[0])


def test_a_metric_has_the_unit_that_its_task_gives_it(tmp_path: Path) -> None:
    groups, _ = group(
        [write_run(tmp_path / 'run', task='drift_car', mean_speed=3.4, mean_other=1.0)]
    )
    columns = tables.final(groups['drift_car']).columns
    assert 'speed, m/s' in columns
    assert 'other' in columns
