# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Pictures of a simulation at a limited rate; whatever fails here does not stop the simulation.

MuJoCo draws with OpenGL: off-screen by EGL (a GPU or Mesa) or OSMesa (software), which it chooses
by MUJOCO_GL before it is imported. A driver that does not work may end its process, so each is
tried in a process of its own.
"""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np

from loop_ros.sim.pictures import Broadcast, Display, Film, Window
from loop_ros.sim.task import Task

BACKENDS = ('egl', 'osmesa', 'glfw')  # the last one draws in a hidden window
PROBE = """
import mujoco
context = mujoco.GLContext(64, 64)
context.make_current()
mujoco.MjrContext(mujoco.MjModel.from_xml_string('<mujoco/>'), 100).free()  # fails without OpenGL
context.free()
"""
PROBE_TIMEOUT = 20.0  # s
REALTIME_SHARE = 0.1  # of the time on the wall that pictures may take in real time
NO_BACKEND = (
    'no pictures: MuJoCo can draw nothing here, neither by EGL nor by OSMesa (Debian and Ubuntu: '
    'apt install libosmesa6)'
)
Environment = gymnasium.Env[Any, Any]
Warn = Callable[[str], None]


@dataclass(frozen=True)
class View:
    """What is wanted of a camera: a window, a folder of films, pictures for those who listen."""

    window: bool
    folder: Path | None
    rate: float  # pictures a second of simulated time
    share: float = 1.0  # of the time on the wall that they may take
    broadcast: Broadcast | None = None


class Camera:
    """Shows every `interval`-th step of an environment, as far as its share of time allows."""

    def __init__(
        self, env: Environment, displays: list[Display], interval: int, share: float, warn: Warn
    ) -> None:
        self._env, self._displays = env, displays
        self._interval, self._share, self._warn = interval, share, warn
        self._next = 0.0  # s of the monotonic clock

    def look(self, episode: int, step: int) -> None:
        """Show the environment as it is, if the step is one to be shown."""
        start = time.monotonic()
        if step % self._interval or start < self._next:
            return
        wanted = [display for display in self._displays if display.is_wanted()]
        if not wanted:
            return
        try:
            picture = np.asarray(self._env.render(), dtype=np.uint8)
        except Exception as error:  # drivers and simulators fail each in their own way
            self._warn(f'no more pictures: {type(error).__name__}: {error}')
            self.close()
            return
        for display in wanted:
            try:
                display.show(picture, episode, step)
            except (OSError, StopIteration, RuntimeError) as error:
                self._warn(f'no more pictures in this {type(display).__name__.lower()}: {error}')
                self._displays.remove(display)
                display.close()
        self._next = start + (time.monotonic() - start) / self._share

    def close(self) -> None:
        """End the window and the running film."""
        for display in self._displays:
            display.close()
        self._displays = []


def open_environment(task: Task, view: View, warn: Warn) -> tuple[Environment, Camera]:
    """A task's environment and a camera on it; `warn` is told of what it cannot show.

    ImportError where the task's simulator is missing, ValueError where it has none.
    """
    period = task.control_period
    interval = max(1, round(1.0 / (view.rate * period)))
    displays = _displays(task.name, view, period, interval, warn)
    env, drawn = _open(task, bool(displays), warn)
    camera = Camera(env, displays, interval, view.share, warn)
    if not drawn:
        camera.close()
    return env, camera


def _displays(name: str, view: View, period: float, interval: int, warn: Warn) -> list[Display]:
    displays: list[Display] = []
    try:
        if view.window:
            displays.append(Window(name))
    except (OSError, ImportError) as error:
        warn(f'no window: {error}; frames:=DIR writes pictures instead')
    try:
        if view.folder is not None:
            displays.append(Film(view.folder, 1.0 / (interval * period), interval))
    except OSError as error:
        warn(f'no frames: {error}')
    if view.broadcast is not None:
        displays.append(view.broadcast)
    return displays


def _open(task: Task, wanted: bool, warn: Warn) -> tuple[Environment, bool]:
    """The environment, and whether it can be drawn, if that is wanted."""
    if not wanted:
        return task.make(), False
    if not choose_backend():
        plain = task.make()
        if 'mujoco' in sys.modules:
            warn(NO_BACKEND)
            return plain, False
    try:
        env = task.make(render_mode='rgb_array')
        env.reset(seed=0)
        env.render()
    except Exception as error:  # drivers and simulators fail each in their own way
        warn(f'no pictures of {task.name}: {type(error).__name__}: {error}')
        return task.make(), False
    return env, True


def choose_backend() -> bool:
    """Set MUJOCO_GL to the first backend that works (if it is set, that one); whether one does."""
    if importlib.util.find_spec('mujoco') is None:
        return False
    given = os.environ.get('MUJOCO_GL')
    backends = (given,) if given else BACKENDS
    found = next((backend for backend in backends if _works(backend)), None)
    os.environ['MUJOCO_GL'] = found or 'disable'  # with one that fails, its import would fail
    return found is not None


def _works(backend: str) -> bool:
    environment = {**os.environ, 'MUJOCO_GL': backend}
    try:
        probe = subprocess.run(
            [sys.executable, '-c', PROBE],
            env=environment,
            capture_output=True,
            timeout=PROBE_TIMEOUT,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return False
    return probe.returncode == 0
