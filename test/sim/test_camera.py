# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Pictures of a simulation: in a window, in films, and none where there can be none."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import pytest
from PIL import Image

from loop_ros.sim import camera, registry
from loop_ros.sim.camera import Camera, View, open_environment
from loop_ros.sim.pictures import Film, Window

CAR = registry.task('drift_car')
# Opens a task's environment with films, looks at five steps, and says what came of it.
PROBE = """
import json, os, sys
from pathlib import Path
import numpy as np
from loop_ros.sim import registry
from loop_ros.sim.camera import View, open_environment
warnings = []
task = registry.task(sys.argv[1])
env, camera = open_environment(task, View(False, Path(sys.argv[2]), 1000.0), warnings.append)
first, _ = env.reset(seed=3)
pictures = []
for step in range(5):
    camera.look(0, step)
    if not warnings:
        pictures.append(np.asarray(env.render(), dtype=float))
    env.step(env.action_space.high)
camera.close()
env.close()
print(json.dumps({
    'warnings': warnings,
    'backend': os.environ.get('MUJOCO_GL'),
    'contrast': [float(picture.std()) for picture in pictures],
    'motion': float(np.abs(pictures[-1] - pictures[0]).mean()) if pictures else 0.0,
    'first': first.tolist(),
}))
"""


def picture(value: int) -> np.ndarray:
    return np.full((32, 48, 3), value, dtype=np.uint8)


def look_from_a_process(task: str, folder: Path, **variables: str) -> dict[str, Any]:
    """In a process of its own: MuJoCo's choice of OpenGL is for the life of a process."""
    command = [sys.executable, '-c', PROBE, task, str(folder)]
    result = subprocess.run(
        command, env=os.environ | variables, capture_output=True, text=True, timeout=100
    )
    assert result.returncode == 0, result.stderr
    assert 'Traceback' not in result.stderr, result.stderr
    return dict(json.loads(result.stdout.splitlines()[-1]))


@pytest.fixture
def pngs(monkeypatch: pytest.MonkeyPatch) -> None:
    """As on a machine without imageio-ffmpeg."""
    found = camera.importlib.util.find_spec
    monkeypatch.setattr(
        'importlib.util.find_spec',
        lambda name: None if name == 'imageio_ffmpeg' else found(name),
    )


def test_a_film_of_pngs(tmp_path: Path, pngs: None) -> None:
    old = tmp_path / 'episode_00002/00007.png'
    old.parent.mkdir()
    old.touch()
    film = Film(tmp_path, 10.0, 5)
    for episode, step in ((1, 0), (1, 5), (2, 0)):
        film.show(picture(100 * episode + step), episode, step)
    film.close()
    found = sorted(str(path.relative_to(tmp_path)) for path in tmp_path.rglob('*.png'))
    assert found == [
        'episode_00001/00000.png',
        'episode_00001/00005.png',
        'episode_00002/00000.png',
    ]
    np.testing.assert_array_equal(np.asarray(Image.open(tmp_path / found[1])), picture(105))


def test_a_film_of_each_episode(tmp_path: Path) -> None:
    ffmpeg = pytest.importorskip('imageio_ffmpeg')
    film = Film(tmp_path, 5.0, 2)
    for episode, step in ((0, 0), (0, 2), (0, 8), (1, 0)):  # 4 and 6 are missing
        film.show(picture(40 * episode + 20 * step), episode, step)
    film.close()
    lengths = []
    for name in ('episode_00000.mp4', 'episode_00001.mp4'):
        frames = ffmpeg.read_frames(str(tmp_path / name))
        assert next(frames)['fps'] == 5.0
        lengths.append([round(np.frombuffer(frame, np.uint8).mean() / 20) for frame in frames])
    assert lengths == [[0, 2, 8, 8, 8], [2]]


def test_every_so_many_steps_of_the_drift_car(tmp_path: Path, pngs: None) -> None:
    warnings: list[str] = []
    env, look = open_environment(CAR, View(False, tmp_path, 10.0), warnings.append)
    env.reset(seed=1)
    for step in range(7):
        look.look(4, step)
        env.step(np.array([5.0, 0.2]))
    look.close()
    assert not warnings
    assert [path.name for path in sorted((tmp_path / 'episode_00004').iterdir())] == [
        f'{step:05d}.png' for step in (0, 3, 6)
    ]


def test_pictures_take_no_more_than_their_share_of_time(tmp_path: Path, pngs: None) -> None:
    view = View(False, tmp_path, 1000.0, share=1e-9)
    env, look = open_environment(CAR, view, pytest.fail)
    env.reset(seed=1)
    for step in range(5):
        look.look(0, step)
    assert len(list(tmp_path.rglob('*.png'))) == 1


def test_nothing_is_drawn_unasked() -> None:
    env, look = open_environment(CAR, View(False, None, 10.0), pytest.fail)
    env.reset(seed=1)
    look.look(0, 0)
    assert env.unwrapped.render_mode is None


class Broken(gymnasium.Env):
    def render(self) -> None:
        raise RuntimeError('no such driver')


def test_a_simulation_that_cannot_be_drawn_goes_on(tmp_path: Path) -> None:
    warnings: list[str] = []
    look = Camera(Broken(), [Film(tmp_path, 10.0, 1)], 1, 1.0, warnings.append)
    look.look(0, 0)
    look.look(0, 1)
    assert warnings == ['no more pictures: RuntimeError: no such driver']


def test_a_folder_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / 'file').touch()
    warnings: list[str] = []
    env, look = open_environment(CAR, View(False, tmp_path / 'file', 9), warnings.append)
    assert len(warnings) == 1 and 'no frames: ' in warnings[0]
    env.reset(seed=0)
    look.look(0, 0)


def test_a_disk_that_is_full(tmp_path: Path, pngs: None) -> None:
    warnings: list[str] = []
    env, look = open_environment(CAR, View(False, tmp_path, 1000.0), warnings.append)
    env.reset(seed=0)
    look.look(0, 0)
    (tmp_path / 'episode_00001').touch()
    look.look(1, 0)
    look.look(1, 1)
    assert len(warnings) == 1 and warnings[0].startswith('no more pictures in this film: ')


def test_the_window(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, pngs: None) -> None:
    pygame = pytest.importorskip('pygame')
    monkeypatch.setenv('SDL_VIDEODRIVER', 'dummy')
    warnings: list[str] = []
    env, look = open_environment(CAR, View(True, tmp_path, 1000.0), warnings.append)
    env.reset(seed=1)
    look.look(0, 0)
    shown = pygame.surfarray.array3d(pygame.display.get_surface()).swapaxes(0, 1)
    np.testing.assert_array_equal(shown, env.render())
    assert pygame.display.get_caption()[0] == 'drift_car, episode 0, step 0'
    pygame.event.post(pygame.event.Event(pygame.QUIT))
    look.look(0, 1)
    look.look(0, 2)  # the film goes on
    assert warnings == ['no more pictures in this window: the window was closed']
    assert not pygame.display.get_init()
    assert len(list(tmp_path.rglob('*.png'))) == 3


def test_no_screen(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ('DISPLAY', 'WAYLAND_DISPLAY', 'SDL_VIDEODRIVER'):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(OSError, match='there is no screen here'):
        Window('drift_car')
    warnings: list[str] = []
    env, look = open_environment(CAR, View(True, None, 10.0), warnings.append)
    env.reset(seed=0)
    look.look(0, 0)
    assert len(warnings) == 1 and 'frames:=DIR' in warnings[0]


@pytest.mark.slow
def test_a_simulator_off_screen(tmp_path: Path) -> None:
    pytest.importorskip('mujoco')
    found = look_from_a_process('InvertedPendulum', tmp_path)
    if found['backend'] == 'disable':
        pytest.skip('neither EGL nor OSMesa works on this machine')
    assert not found['warnings']
    assert min(found['contrast']) > 5.0  # not one colour
    assert found['motion'] > 0.05
    assert list(tmp_path.iterdir())
    undrawn, _ = registry.make('InvertedPendulum').reset(seed=3)
    np.testing.assert_array_equal(found['first'], undrawn)


@pytest.mark.slow
def test_a_machine_without_opengl(tmp_path: Path) -> None:
    pytest.importorskip('mujoco')
    found = look_from_a_process('InvertedPendulum', tmp_path, MUJOCO_GL='crayons')
    assert found['warnings'] == [camera.NO_BACKEND]
    assert found['backend'] == 'disable'
