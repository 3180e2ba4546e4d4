# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A moving picture of a drive under changing thresholds."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import tiny
from PIL import Image

from loop_ros.agent import Agent
from loop_ros.cli import anatomy, film
from loop_ros.cli.main import main


@pytest.mark.parametrize('kind', ['gif', 'webp'])
def test_frames_move_at_the_speed_of_the_drive(tmp_path: Path, kind: str) -> None:
    """100 steps of 35 ms, every 20th of them drawn."""
    tiny.trained().save(tmp_path / 'kept')
    out = tmp_path / 'deep' / f'film.{kind}'
    words = ['film', 'drift_car', '--checkpoint', str(tmp_path / 'kept'), '--episodes', '1']
    assert main([*words, '--d0', '0', '4', '--every', '20', '--out', str(out)]) == 0
    with Image.open(out) as shown:
        assert shown.n_frames == 5
        pictures = []
        for frame in range(shown.n_frames):
            shown.seek(frame)
            shown.load()
            assert shown.info['duration'] == 700
            pictures.append(np.asarray(shown.convert('RGB'), dtype=float))
    for before, after in zip(pictures, pictures[1:], strict=False):
        assert np.abs(before - after).max() > 100


def test_what_cannot_be_drawn_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    tiny.trained().save(tmp_path / 'kept')
    words = ['film', 'drift_car', '--checkpoint', str(tmp_path / 'kept')]
    assert main([*words, '--out', str(tmp_path / 'film.mp4')]) == 2
    assert 'ends in .gif or .webp' in capsys.readouterr().err


def test_a_task_without_a_plane_has_nothing_to_draw(tmp_path: Path) -> None:
    agent = Agent(dataclasses.replace(tiny.TASK, path=None), tiny.settings())
    with pytest.raises(ValueError, match='no path'):
        film.make(agent, [0.2], 1, 0, 1, tmp_path / 'film.gif')


def test_a_plan_is_taken_apart(tmp_path: Path) -> None:
    """Two iterations beside each other."""
    out = tmp_path / 'plan.png'
    shown = anatomy.draw(tiny.trained(), 0, out)
    assert shown['d0'] == 0.2
    with Image.open(out) as picture:
        assert picture.width > 1.5 * picture.height
    with pytest.raises(ValueError, match='compares nothing'):
        anatomy.draw(tiny.configured(tiny.trained(), algorithm='actor'), 0, out)
