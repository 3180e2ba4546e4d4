# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
"""loop-ros report from folders to the page: figures, sources, what is left out, what it loads."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from html_page import assert_loads_nothing, report
from made_up_runs import RETURNS, write_csv, write_run
from source_tree import TREE

from loop_ros.cli.main import main
from loop_ros.cli.report import aggregates, published


@pytest.fixture
def experiments(tmp_path: Path) -> Path:
    """Two tasks, three seeds."""
    root = tmp_path / 'experiments'
    for task in ('HalfCheetah', 'PointGoal1'):
        for seed in range(3):
            write_run(root / task / f'seed_{seed}', task, seed=seed)
    return root


def test_page_has_the_figures_worked_by_hand(experiments: Path, tmp_path: Path) -> None:
    text, page = report(experiments, out=tmp_path / 'deep' / 'report.html')
    header = next(row for row in page.rows if row[0] == 'algorithm')
    rows = [dict(zip(header, row, strict=True)) for row in page.rows if len(row) == len(header)]
    finals = [row for row in rows if row['algorithm'] == 'loop_sac']
    assert len(finals) == 2
    seeds = [np.array(values, dtype=float) for values in RETURNS]
    low, high = aggregates.interval(seeds, aggregates.interquartile_mean) or (0.0, 0.0)
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


def test_every_published_figure_drawn_names_its_source(tmp_path: Path) -> None:
    write_run(tmp_path / 'run', columns={'plan_ms': 12.0})
    text, _ = report(tmp_path / 'run', out=tmp_path / 'report.html')
    for point in published.load():
        if point.task == 'HalfCheetah':
            assert point.source in text


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
    assert_loads_nothing(text, page)


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
    code = 'import sys, loop_ros.cli.main as m; m.make_parser(); print("plotly" in sys.modules)'
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
