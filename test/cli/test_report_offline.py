# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Trainings from bags in the report: what they learned from and what is expected of them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from html_page import Page, assert_loads_nothing, report
from made_up_runs import write_offline, write_run


def table(page: Page, column: str) -> dict[str, dict[str, str]]:
    """The rows of the table that has a column, by their first words."""
    start = next(i for i, row in enumerate(page.rows) if column in row)
    header = page.rows[start]
    found = {}
    for row in page.rows[start + 1 :]:
        if len(row) != len(header) or row[0] in ('run', 'H'):
            break
        found[row[0]] = dict(zip(header, row, strict=True))
    return found


def test_data_and_expectations_of_each_run(tmp_path: Path) -> None:
    write_offline(tmp_path / 'runs' / 'medium')
    write_offline(tmp_path / 'runs' / 'replay', 'plas')
    driven = {'mean_return': -280.25, 'std_return': 12.5, 'mean_cost': 88.5, 'max_cost': 92.0}
    (tmp_path / 'runs' / 'medium' / 'result.json').write_text(json.dumps(driven))
    text, page = report(tmp_path / 'runs', out=tmp_path / 'report.html')
    assert_loads_nothing(text, page)
    assert 'loop_ros: 2 runs, 1 task' in page.texts['h1'][0]
    data = table(page, 'transitions')
    assert list(data) == ['medium', 'replay']
    assert data['replay'] == {
        'run': 'replay', 'algorithm': 'plas', 'seed': '0', 'updates': '1,500',
        'transitions': '3,000', 'episodes': '30', 'return, mean': '-297.5',
        'return, most': '-151.5', 'cost, all': '2,658', 'model error, 1 step': '0.1',
        'many steps': '0.3 after 3', 'hours': '0.10',
    }  # fmt: skip
    expected = table(page, 'actor, in the model')
    assert expected['medium'] == {
        'run': 'medium', 'held-out return': '-277.5', 'actor, in the model': '4 +- 0.25',
        'plans, in the model': '6 +- 0.5', 'their worst cost': '1.5',
        'driven return': '-280.2 +- 12.5',
        'driven cost, mean': '88.5', 'most': '92', 'actor, value': '-3 +- 1',
        'plans, value': '-2 +- 1.5', 'recommended': 'H 2, sigma 0.4, eta 0.5, beta_pess 0.5',
        'gain': 'certain',
    }  # fmt: skip
    assert expected['replay']['driven return'] == '–'
    assert 'Episodes in the model have 100 steps.' in text
    assert 'loop-ros train-offline --algorithm plas' in text


def test_candidates_are_listed_and_drawn(tmp_path: Path) -> None:
    write_offline(tmp_path / 'crr')
    text, page = report(tmp_path / 'crr', out=tmp_path / 'report.html')
    header = ['H', 'sigma', 'eta', 'beta_pess', 'return in the model', 'spread', 'less spread']
    start = page.rows.index([*header, 'cost', 'worst'])
    assert [row[1:3] + row[4:] for row in page.rows[start + 1 : start + 5]] == [
        ['0.4', '0.5', '6', '0.5', '5.5', '0.5', '1.5'],
        ['0.01', '0.5', '7', '2', '5', '0.5', '1.5'],
        ['0.01', '2', '5', '1', '4', '0.5', '1.5'],
        ['0.4', '2', '9', '8', '1', '0.5', '1.5'],
    ]
    error, candidates = (json.loads(s) for s in page.texts['script'] if s.startswith('{"data"'))
    assert [trace['y'] for trace in error['data']] == [
        pytest.approx([0.1, 0.2, 0.3]), pytest.approx([0.01, 0.02, 0.03]),
    ]  # fmt: skip
    by_name = {trace['name']: trace for trace in candidates['data']}
    narrow, wide = (by_name[f'sigma {std}, H 2, beta_pess 0.5'] for std in (0.01, 0.4))
    assert (narrow['x'], narrow['y']) == ([0.5, 2.0], [7.0, 5.0])
    assert narrow['error_y']['array'] == [2.0, 1.0]
    star = by_name['recommended']
    assert (star['x'], star['y']) == ([wide['x'][0]], [wide['y'][0]]) == ([0.5], [6.0])
    assert len(by_name) == 3


def test_online_and_offline_runs_of_a_task_share_its_section(tmp_path: Path) -> None:
    online = tmp_path / 'online'
    write_run(online / 'run', 'drift_car')
    write_offline(tmp_path / 'offline' / 'crr')
    _, alone = report(online, out=tmp_path / 'alone.html')
    _, page = report(online, tmp_path / 'offline', out=tmp_path / 'both.html')
    assert page.texts['h2'] == alone.texts['h2'] == ['drift_car']
    assert 'Trained from bags' in page.texts['h3']
    assert 'Trained from bags' not in alone.texts['h3']
    assert [row for row in alone.rows if row not in page.rows] == []
    assert alone.texts['summary'] == page.texts['summary'][1:2]  # after the candidates


def test_without_off_policy_evaluation(tmp_path: Path) -> None:
    write_offline(tmp_path / 'runs' / 'mbop', 'mbop')
    (tmp_path / 'runs' / 'mbop' / 'off_policy.json').unlink()
    text, page = report(tmp_path / 'runs', out=tmp_path / 'report.html')
    assert table(page, 'transitions')['mbop']['model error, 1 step'] == '–'
    assert table(page, 'actor, in the model')['mbop']['recommended'] == '–'
    assert 'Not evaluated off policy: mbop.' in text


def test_runs_in_folders_of_the_same_name_are_told_apart(tmp_path: Path) -> None:
    for data in ('medium', 'medium-replay'):
        write_offline(tmp_path / data / 'crr')
    _, page = report(tmp_path, out=tmp_path / 'report.html')
    assert list(table(page, 'transitions')) == ['medium/crr', 'medium-replay/crr']


def test_broken_folders_are_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name in ('good', 'no_data', 'cut', 'unfinished', 'bad_result'):
        write_offline(tmp_path / name)
    (tmp_path / 'no_data' / 'offline.json').write_text('{"task": "drift_car"}')
    (tmp_path / 'cut' / 'off_policy.json').write_text('{"model_error": [')
    (tmp_path / 'unfinished' / 'offline.json').unlink()
    (tmp_path / 'bad_result' / 'result.json').write_text('[]')
    _, page = report(tmp_path, out=tmp_path / 'report.html')
    assert '1 run,' in page.texts['h1'][0]
    listed, errors = ' '.join(page.texts['li']), capsys.readouterr().err
    for name, what in (
        ('no_data', 'offline.json: no algorithm, data'),
        ('cut', 'off_policy.json: '),
        ('unfinished', 'offline.json'),
        ('bad_result', 'result.json holds no mapping'),
    ):
        message = f'{tmp_path / name}: not the folder of a finished train-offline: '
        assert message in listed and message in errors
        assert what in listed[listed.index(message) :]


def test_names_cannot_become_tags(tmp_path: Path) -> None:
    bad = '<img src=x onerror=alert(1)>'
    write_offline(tmp_path / bad, f'{bad}</script><script>alert(2)')
    _, page = report(tmp_path, out=tmp_path / 'report.html')
    assert all(tag != 'img' for tag, _ in page.tags)
