# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
"""loop-ros report on made-up experiments whose figures are worked out by hand."""

from __future__ import annotations

import csv
import json
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from loop_ros.cli import runs
from loop_ros.cli.main import main
from loop_ros.cli.report import published, statistics, tables
from loop_ros.cli.report.groups import group
from loop_ros.settings import Settings

pytest.importorskip('plotly')
from loop_ros.cli.report import figures, kinds

TREE = Path(__file__).resolve().parent.parent
# Four episodes of three seeds. Sorted: 0 ... 10, 100; without three at each end 3 ... 8: 5.5.
RETURNS = ([0, 1, 2, 3], [4, 5, 6, 7], [8, 9, 10, 100])


def write_csv(path: Path, rows: list[dict[str, float]]) -> None:
    with path.open('w', newline='') as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)


def write_run(
    folder: Path,
    task: str = 'HalfCheetah',
    algorithm: str = 'loop_sac',
    seed: int = 0,
    last_step: int = 40_000,
    settings: dict[str, Any] | None = None,
    columns: dict[str, float] | None = None,
    **result: Any,
) -> runs.Run:
    """Write an experiment of episodes of 1,000 steps, each with its last step + seed as return."""
    folder.mkdir(parents=True)
    rows = [
        {'step': step, 'steps': 1000, 'return': step + seed, 'cost': 2, **(columns or {})}
        for step in range(1000, last_step + 1, 1000)
    ]
    write_csv(folder / 'progress.csv', rows)
    returns = RETURNS[seed % 3]
    content = {
        'task': task,
        'algorithm': algorithm,
        'seed': seed,
        'mean_return': float(np.mean(returns)),
        'mean_cost': 0.25,
        'max_cost': 1.0,
        'returns': returns,
        'costs': [0, 0, 0, 1],
        'training_cost': 80.0,
        'command': f'loop-ros experiment {task} --steps {last_step} --seed {seed}',
        'commit': 'abc1234',
        'settings': Settings().replace(settings or {}).to_dict(),
        **result,
    }
    (folder / 'result.json').write_text(json.dumps(content))
    return runs.read(folder)


@pytest.fixture
def experiments(tmp_path: Path) -> Path:
    """Two tasks, three seeds."""
    root = tmp_path / 'experiments'
    for task in ('HalfCheetah', 'PointGoal1'):
        for seed in range(3):
            write_run(root / task / f'seed_{seed}', task, seed=seed)
    return root


class Page(HTMLParser):
    """The tags of a page, each closed, and the text of its table rows."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.texts: dict[str, list[str]] = {}  # by the tag they are in
        self.rows: list[list[str]] = []
        self._open: list[str] = []
        self.feed(text)
        assert self._open == [], 'not closed'

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag != 'meta':
            self._open.append(tag)
        if tag == 'tr':
            self.rows.append([])
        elif tag in ('td', 'th'):
            self.rows[-1].append('')

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self._open:
            self.texts.setdefault(self._open[-1], []).append(data)
            if self._open[-1] in ('td', 'th'):
                self.rows[-1][-1] += data


def report(*folders: Path, out: Path) -> tuple[str, Page]:
    assert main(['report', *map(str, folders), '--out', str(out)]) == 0
    text = out.read_text(encoding='utf-8')
    return text, Page(text)


def test_interquartile_mean_worked_by_hand() -> None:
    assert statistics.interquartile_mean(np.array([9.0, 1, 2, 3, 4, 5, 6, -50])) == 3.5  # 2 3 4 5
    assert statistics.interquartile_mean(np.array([1.0, 2, 6])) == 3.0  # nothing to cut
    stats = pytest.importorskip('scipy.stats')
    for size in range(1, 30):
        values = np.random.default_rng(size).standard_normal(size)
        expected = stats.trim_mean(values, 0.25)
        assert statistics.interquartile_mean(values) == pytest.approx(expected)


def test_interval_draws_seeds_before_episodes() -> None:
    apart = [np.zeros(4), np.full(4, 10.0)]
    # Both seeds, one or the other: 5, 0 or 10, the latter two in a quarter of resamples each.
    assert statistics.interval(apart, statistics.mean) == (0.0, 10.0)
    uneven = [np.zeros(1), np.full(9, 10.0)]
    assert statistics.interval(uneven, statistics.mean) == (0.0, 10.0)
    assert statistics.interval([np.full(5, 3.0)] * 2, statistics.mean) == (3.0, 3.0)
    assert statistics.interval([np.array([7.0])], statistics.mean) is None


def test_interval_of_one_seed_is_that_of_its_episodes() -> None:
    values = np.random.default_rng(0).standard_normal(400)
    interval = statistics.interval([values], statistics.mean)
    assert interval is not None
    # Of a mean of n values: the mean +- 1.96 standard errors.
    half = 1.96 * values.std() / 20.0
    assert interval == pytest.approx((values.mean() - half, values.mean() + half), abs=0.02)


def test_bins() -> None:
    steps, values = np.array([100.0, 200, 450, 900]), np.array([1.0, 3, 8, 5])
    found = statistics.binned(steps, values, 200.0, 6)
    # (0, 200], nothing, (400, 600], nothing, (800, 1000], not reached
    np.testing.assert_allclose(found, [2.0, 5.0, 8.0, 6.5, 5.0, np.nan])
    last_steps = (15_000, 30_000, 100_000, 20)
    assert [statistics.bin_width(last) for last in last_steps] == [250, 500, 2000, 1]


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
    assert 'more' in labels[-1]


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


def test_page_has_the_figures_worked_by_hand(experiments: Path, tmp_path: Path) -> None:
    text, page = report(experiments, out=tmp_path / 'deep' / 'report.html')
    header = next(row for row in page.rows if row[0] == 'algorithm')
    rows = [dict(zip(header, row, strict=True)) for row in page.rows if len(row) == len(header)]
    finals = [row for row in rows if row['algorithm'] == 'loop_sac']
    assert len(finals) == 2
    seeds = [np.array(values, dtype=float) for values in RETURNS]
    low, high = statistics.interval(seeds, statistics.interquartile_mean) or (0.0, 0.0)
    for row in finals:
        assert row['seeds'] == '3'
        assert row['steps'] == '40,000'
        assert row['return, IQM [95 %]'] == f'5.5 [{low:.4g}, {high:.4g}]'
        assert row['return, mean'] == '12.92'  # of 1.5, 5.5 and 31.75
        assert row['worst seed'] == '1.5'
        assert row['cost, mean [95 %]'].startswith('0.25 [')
        assert row['cost, most'] == '1'
        assert row['training cost'] == '80'
    assert 'abc1234' in text
    assert 'loop-ros experiment HalfCheetah --steps 40000 --seed 2' in text
    assert '# all defaults' in text
    assert len(text.encode()) < 6e6


def test_older_runs_without_episodes_have_the_iqm_of_their_means(tmp_path: Path) -> None:
    for seed in range(3):
        write_run(tmp_path / 'runs' / str(seed), seed=seed, returns=None, costs=None)
    text, page = report(tmp_path / 'runs', out=tmp_path / 'report.html')
    (row,) = [row for row in page.rows if row[0] == 'loop_sac' and row[1] == '3']
    assert row[3].startswith('12.92 [1.5, ')
    assert 'Episodes were not recorded' in text


def test_ours_stand_beside_published_figures_of_the_same_step(tmp_path: Path) -> None:
    for seed in range(2):
        write_run(tmp_path / 'runs' / str(seed), seed=seed)
    text, page = report(tmp_path / 'runs', out=tmp_path / 'report.html')
    start = page.rows.index(['at 33,000 steps'])
    end = page.rows.index(['at 49,000 steps'])
    block = {row[0]: row[1:] for row in page.rows[start + 1 : end]}
    assert block['SAC'][0] == '2,518'
    assert block['REDQ'][0] == '5,464'
    assert 'SimbaV2@14fafb2' in block['REDQ'][3]
    # The last 10 episodes by 33,000: 24,000 ... 33,000, and 0.5 for the mean seed.
    assert block['loop_sac'][:3] == ['28,500', '2', '33,000']
    # The next step is beyond our last: the final evaluation, (1.5 + 5.5) / 2.
    after = [row for row in page.rows[end:] if row[0] == 'loop_sac']
    assert [row[1:4] for row in after] == [['3.5', '0.25', '40,000']]


def test_evaluations_stand_beside_published_figures_where_there_are_some(tmp_path: Path) -> None:
    write_run(folder := tmp_path / 'runs')
    rows = [{'step': s, 'mean_return': s / 10, 'mean_cost': 0} for s in (16_000, 32_000, 40_000)]
    write_csv(folder / 'evaluation.csv', rows)
    _, page = report(folder, out=tmp_path / 'report.html')
    start = page.rows.index(['at 33,000 steps'])
    ours = next(row for row in page.rows[start:] if row[0] == 'loop_sac')
    assert ours[1] == '3,200'
    assert 'Return of evaluations' in page.texts['h4']


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


def test_every_published_figure_drawn_names_its_source(tmp_path: Path) -> None:
    write_run(tmp_path / 'run', columns={'plan_ms': 12.0})
    text, _ = report(tmp_path / 'run', out=tmp_path / 'report.html')
    for point in published.load():
        if point.task == 'HalfCheetah':
            assert point.source in text


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


def test_broken_and_unfinished_folders_are_named(
    experiments: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ('no_json', 'no_name', 'cut_csv', 'unfinished'):
        write_run(experiments / name, seed=9)
    (experiments / 'no_json' / 'result.json').write_text('{"task": ')
    (experiments / 'no_name' / 'result.json').write_text('{"task": "Hopper"}')
    (experiments / 'unfinished' / 'result.json').unlink()
    path = experiments / 'cut_csv' / 'progress.csv'
    path.write_text(path.read_text()[:-5])
    _, page = report(experiments, out=tmp_path / 'report.html')
    listed, errors = ' '.join(page.texts['li']), capsys.readouterr().err
    for name in ('no_json', 'no_name', 'cut_csv', 'unfinished'):
        assert str(experiments / name) in listed
        assert str(experiments / name) in errors
    assert '6 runs' in page.texts['h1'][0]


def test_nothing_to_report_is_an_error(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for folder in (tmp_path, tmp_path / 'nowhere'):
        assert main(['report', str(folder), '--out', str(tmp_path / 'report.html')]) == 2
        assert str(folder) in capsys.readouterr().err
    assert not (tmp_path / 'report.html').exists()


def test_page_loads_nothing(experiments: Path, tmp_path: Path) -> None:
    text, page = report(experiments, out=tmp_path / 'report.html')
    for tag, attributes in page.tags:
        assert tag not in ('link', 'img', 'iframe', 'object', 'embed', 'base')
        assert 'src' not in attributes
        if 'href' in attributes:
            assert str(attributes['href']).startswith('#')
    for style in page.texts['style']:
        assert 'url(' not in style and '@import' not in style
    anchors = {attributes.get('id') for _, attributes in page.tags}
    assert {f'#{name}' for name in anchors} >= {a['href'] for _, a in page.tags if 'href' in a}
    # The library once, the rest of the page without any address but the sources, which are text.
    (library,) = [script for script in page.texts['script'] if len(script) > 1e6]
    assert '://' not in text.replace(library, '')


def test_figures_of_the_page_are_json(experiments: Path, tmp_path: Path) -> None:
    _, page = report(experiments, out=tmp_path / 'report.html')
    places = [a['data-figure'] for _, a in page.tags if 'data-figure' in a]
    assert len(places) == len(set(places)) == 6
    scripts = [text for text in page.texts['script'] if text.startswith('{"data"')]
    assert len(scripts) == 6
    assert all(json.loads(script)['layout']['yaxis']['title']['text'] for script in scripts)


def test_names_cannot_become_tags(tmp_path: Path) -> None:
    bad = '<img src=x onerror=alert(1)>'
    write_run(tmp_path / 'good' / 'plain')
    write_run(tmp_path / 'bad' / bad, bad, f'{bad}</script><script>alert(2)', commit=bad)
    _, good = report(tmp_path / 'good', out=tmp_path / 'good.html')
    _, page = report(tmp_path / 'bad', out=tmp_path / 'bad.html')

    def count(tags: list[tuple[str, dict[str, str | None]]], name: str) -> int:
        return sum(tag == name for tag, _ in tags)

    assert count(page.tags, 'img') == 0
    assert count(page.tags, 'script') == count(good.tags, 'script')
    assert any(bad in text for text in page.texts['summary'])


def test_the_same_folders_make_the_same_page(experiments: Path, tmp_path: Path) -> None:
    first, _ = report(experiments, out=tmp_path / 'first.html')
    second, _ = report(experiments, experiments / 'HalfCheetah', out=tmp_path / 'second.html')
    assert first == second


def test_plotly_is_loaded_by_the_report_alone() -> None:
    code = 'import sys, loop_ros.cli.main as m; m._parser(); print("plotly" in sys.modules)'
    command = [sys.executable, '-c', code]
    result = subprocess.run(command, cwd=TREE, capture_output=True, text=True, check=True)
    assert result.stdout.strip() == 'False'


def test_files_of_the_page_are_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    from distutils.core import run_setup

    monkeypatch.chdir(TREE)
    patterns = run_setup('setup.py', stop_after='init').package_data['loop_ros']
    package = TREE / 'loop_ros'
    installed = {path for pattern in patterns for path in package.glob(pattern)}
    files = {path for path in (package / 'cli/report').iterdir() if path.is_file()}
    assert {path for path in files if path.suffix != '.py'} <= installed
