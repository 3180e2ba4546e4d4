# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Tables on narrow screens: every figure is there, whole."""

from __future__ import annotations

import math

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from loop_ros.cli import calibrate, evaluate, tables

words = st.text('0123456789.', min_size=1, max_size=9)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=50)
@given(
    st.lists(st.lists(words, min_size=3, max_size=3), min_size=3, max_size=15),
    st.integers(40, 200),
)
def test_no_figure_is_cut_off(
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    cells: list[list[str]],
    width: int,
) -> None:
    monkeypatch.setenv('COLUMNS', str(width))
    columns = {f'n{i}': column for i, column in enumerate([['a', 'b', 'c'], *cells])}
    tables.show('of all', columns, keys=2)
    lines = capsys.readouterr().out.splitlines()
    assert all(len(line.rstrip()) <= width for line in lines)
    for number, key in enumerate('abc'):
        found = [line.split() for line in lines if line.strip().startswith(key)]
        assert {cell for _, cell, *_ in found} == {cells[0][number]}
        assert [cell for row in found for cell in row[2:]] == [each[number] for each in cells[1:]]
    headings = [word for line in lines for word in line.split() if word.startswith('n')]
    assert set(headings) == set(columns)


@pytest.mark.parametrize('width', ['80', '200'])
def test_tables_of_the_commands(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, width: str
) -> None:
    monkeypatch.setenv('COLUMNS', width)
    numbers = {
        'mean_return': -1234.56, 'std_return': 123.45, 'mean_cost': 1.25, 'max_cost': 14.5,
        'worst_predicted_cost': 1234567.25, 'mean_speed': 3.36, 'mean_slip': 0.65,
        'mean_radius': 1.07, 'plan_hz': math.nan,
    }  # fmt: skip
    evaluate.show(
        [{'task': 'drift_car', 'episodes': 20, 'algorithm': 'safe_arc', 'd0': 0.5, **numbers}]
    )
    shares = (
        'promised',
        'broken',
        'broken_low',
        'broken_high',
        'refused_held',
        'exceeded',
        'none_safe',
    )
    row = {name: 0.123 + 0.1 * i for i, name in enumerate(shares)}
    row.update({'disturbance': 'friction=0.7', 'd0': 2.0, 'episodes': 8})
    row.update({'largest': 17.25, 'return': -10.5, 'cost': 4.75})
    calibrate.show({'task': 'drift_car', 'conditions': [row]})
    shown = capsys.readouterr().out
    for figure in ('-1234.56', '123.45', '1234567.25', '14.50', '1.07', ' - '):
        assert figure in shown
    for figure in (
        '12.3',
        '22.3',
        '32.3 to 42.3',
        '52.3',
        '62.3',
        '72.3',
        '17.25',
        '-10.50',
        '4.75',
    ):
        assert figure in shown
    assert '…' not in shown
