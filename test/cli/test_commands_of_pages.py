# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What the pages tell people to type runs: those of a page from top to bottom, in one folder."""

from __future__ import annotations

import glob
import os
import runpy
import shutil
import sys
from collections.abc import Callable, Iterator
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import flight
import gymnasium
import h5py
import numpy as np
import pytest
import tiny
import vehicle
from bag_files import write_bag
from packages import documented_task, install
from pages import PAGES, Command, commands
from source_tree import TREE
from stack import Process, environment, make_prefix

from loop_ros.cli.main import main
from loop_ros.offline import evaluation
from loop_ros.sim.task import Task

EPISODE = 25  # steps
EXAMPLES = ('ackermann_lidar', 'diff_drive_lidar', 'franka_reach')
STANDING_FOR = {'SEED': '0', '0..2': '0', 'ALGORITHM': 'loop_sac', 'SNAPSHOT': 'snapshot'}

# Not run, and why: pages as a whole, and commands.
PAGES_NOT_RUN = {
    'docs/omnisafe.md': 'OmniSafe is installed in an environment of its own',
    'docs/tutorial.md': 'needs a robot and half an hour',
    'examples/f1tenth/README.md': 'the recordings are not part of this repository',
}
NOT_RUN = {
    '. *': 'the tests run in the environment',
    'make *': 'sets everything up, or runs without an end',
    'pip install *': 'installs',
    'sudo apt install *': 'installs',
    'colcon build': 'needs ROS 2',
    'python3 -m pytest': 'the suite has these tests',
    'ros2 launch *': 'test/nodes has a test of each launch file, beside those below',
    'ros2 run *': 'test/nodes starts each node',
    'ros2 param set /robot_1/planner *': 'test/nodes/test_fleet.py',
    'ros2 param set /learner *': 'test/nodes/test_fleet.py',
    'ros2 service call /robot_2/*': 'test/nodes/test_fleet.py',
    'ros2 service call /robot/*': 'needs a robot; test/nodes/test_robot.py',
    'python3 ../joystick.py *': 'needs a robot; test/nodes/test_robot.py has a joystick',
    'python3 ../success.py monday --task EXAMPLE *': 'the pages of the examples have it',
    'torchrun *': 'test/offline/test_processes.py and test/learning/test_crew.py',
    'export *': 'several computers',
    'fastdds *': 'several computers',
    'ZENOH_*': 'several computers',
    'rqt_plot *': 'needs ROS 2 and a screen',
    'cd *': 'needs a cluster',
    'head=*': 'needs a cluster',
    'head *': 'needs a cluster',
    'srun *': 'needs a cluster',
    'loop-ros study fig3 *': 'needs a cluster',
    'loop-ros study fig6 --jobs *': 'hours; test/cli/test_study.py runs a small one',
    'loop-ros study fig6 --ray *': 'hours; test/cli/test_study.py runs a small one',
    'loop-ros theory *': 'test/core/test_theory.py',
    'loop-ros bench [!fs]*': 'half a minute to minutes each; test/bench/test_benchmarks.py',
    'loop-ros bench scaling *': 'minutes; test/bench/test_benchmarks.py',
    'loop-ros bench soak --seconds *': 'hours; test/bench/test_soak.py',
    '(cat *': 'for the soak',
    'echo *': 'for the soak',
}
STACK = 'ros2 launch loop_ros drift_car.launch.py'
# Run while it drives, and what makes them end.
BESIDE = {
    'ros2 param * /planner *': [],
    'ros2 service call /planner/*': [],
    'ros2 topic echo *': ['--once'],
    'python examples/draw_markers.py *': ['--seconds=1'],
}
STOP_AND_GO = ('/planner/stop', '/planner/reset')

PLANS = {name: value for name, value in tiny.OVERRIDES.items() if name.startswith('planner.')}


def settings(values: dict[str, Any]) -> list[str]:
    return [f'--set={name}={value}' for name, value in values.items()]


# What makes a command small; of an option that is given twice the last one counts.
PLAN = settings(PLANS)
LEARN = settings({**tiny.OVERRIDES, 'plas.vae_width': 8, 'plas.vae_updates': 5})
SMALL = {
    'experiment': ['--steps=60', '--final-episodes=1', *LEARN],
    'evaluate': ['--episodes=1', *PLAN],
    'sweep': ['--episodes=1', '--d0', '0', '1', *PLAN],
    'calibrate': ['--episodes=1', '--d0', '0', '--disturb', 'none', 'delay=1', *PLAN],
    'horizon': ['--episodes=1', '--horizons', '1', '2', *PLAN],
    'hindsight': ['--episodes=1', '--steps=1', *PLAN],
    'film': ['--episodes=1', *PLAN],
    'anatomy': PLAN,
    'train-offline': ['--updates=10', *LEARN],
    'dataset': ['--steps=200'],
    'predict': ['--seconds=0.5'],
    'replay': ['--steps=20', *PLAN],
    'what-if': ['--steps=20', *PLAN],
    'bench fleet': ['--plans=1', '--robots', '1', '2'],
    'examples/fleet_learning.py': ['--steps=40'],
}


def record(task: str, bag: str) -> None:
    """What a launch with record:=BAG would leave."""
    assert main(['dataset', task, '--kind', 'random', '--steps=200', '--out', bag]) == 0


def train(task: str, out: str) -> None:
    assert main(['experiment', task, '--out', out, *SMALL['experiment']]) == 0


def old_logs() -> None:
    vehicle.robot(Path())
    speeds = np.random.default_rng(0).uniform(0, 5, size=70)
    sent = vehicle.commands(*((0.1 * i, speed) for i, speed in enumerate(speeds)))
    messages = [*vehicle.states(100, 3.0), *vehicle.states(100, 7.0, gap=(0.0, 4.0)), *sent]
    write_bag(Path('old_logs'), sorted(messages, key=lambda message: message[2]))


def hopper() -> None:
    rng = np.random.default_rng(0)
    with h5py.File('hopper_medium-v2.hdf5', 'w') as file:
        file['observations'] = rng.normal(size=(100, 11))
        file['actions'] = rng.uniform(-1, 1, size=(100, 3))
        file['rewards'] = rng.normal(size=100)
        file['terminals'] = np.zeros(100, dtype=bool)
        file['timeouts'] = np.arange(100) % 20 == 19


def snapshot() -> None:
    flight.write_stopped(Path('snapshot'), steps=20, after=2)
    tiny.trained().save(Path('policy'))


# What a page takes for granted.
GIVEN: dict[str, Callable[[], object]] = {
    'README.md': lambda: record('drift_car', 'logs/monday'),
    'docs/experiments.md': lambda: shutil.copytree(TREE / 'docs/results/runs', 'docs/results/runs'),
    'docs/fleet.md': lambda: shutil.copytree(TREE / 'examples', 'examples'),
    'docs/offline.md': lambda: (
        record('drift_car', 'logs/monday'),
        record('drift_car', 'logs/friday'),
        train('drift_car', 'runs/medium'),
        old_logs(),
        hopper(),
    ),
    'docs/panel.md': lambda: record('drift_car', 'my_bag'),
    'docs/recorder.md': snapshot,
    'docs/results/calibration.md': lambda: train('PointGoal1', 'runs/safety_gym/point_safeloop_0'),
    'docs/results/mujoco_earlier.md': lambda: shutil.copytree(
        TREE / 'docs/results/runs_earlier', 'docs/results/runs_earlier'
    ),
    'docs/results/soak.md': lambda: shutil.copytree(
        TREE / 'docs/results/soak', 'docs/results/soak'
    ),
    'docs/studies.md': lambda: (train('drift_car', 'runs/fig6/drift_car'), hopper()),
    'docs/task.md': lambda: Path('diff_drive.py').write_text(documented_task()),
    **{f'examples/{name}/README.md': lambda name=name: record(name, 'monday') for name in EXAMPLES},
}


def matches(command: Command, patterns: Any) -> list[str]:
    return [pattern for pattern in patterns if fnmatchcase(command.text, pattern)]


def found(page: Path) -> list[Command]:
    name = str(page.relative_to(TREE))
    wanted = name == 'README.md' or name.startswith(('docs/', 'examples/'))
    return list(commands(page)) if wanted and name not in PAGES_NOT_RUN else []


def is_run(command: Command) -> bool:
    return not matches(command, (*NOT_RUN, *BESIDE))


RUN = {str(page.relative_to(TREE)): [c for c in found(page) if is_run(c)] for page in PAGES}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Where a page's commands run; episodes are short in it, and examples are installed."""
    make = Task.make

    def short(task: Task, **kwargs: Any) -> gymnasium.Env[Any, Any]:
        return gymnasium.wrappers.TimeLimit(make(task, **kwargs), EPISODE)

    monkeypatch.setattr(Task, 'make', short)
    few = {'proposal_std': (0.4,), 'temperature': (1.0,)}, {'horizon': (2,)}, {'pessimism': (0.0,)}
    monkeypatch.setattr(evaluation, 'SEARCH', few)
    monkeypatch.setattr(sys, 'path', [*sys.path, str(tmp_path / 'installed')])
    points = {name: f'{name}.task:TASK' for name in EXAMPLES}
    install(tmp_path / 'installed', 'examples_of_pages', '', points)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize('page', [page for page, run in RUN.items() if run])
def test_commands_run(
    page: str, folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    if page.startswith('examples'):
        shutil.copytree(TREE / 'examples', 'examples')
        monkeypatch.chdir(Path(page).parent)
    if page in GIVEN:
        GIVEN[page]()
    for command in RUN[page]:
        words = [word for each in command.words for word in expand(each)]
        capsys.readouterr()
        if words[0] == 'loop-ros':
            code = main([*words[1:], *SMALL.get(words[1], SMALL.get(' '.join(words[1:3]), []))])
        elif words[0] in ('python', 'python3'):
            with monkeypatch.context() as patch:
                patch.setattr(sys, 'argv', [*words[1:], *SMALL.get(words[1], [])])
                runpy.run_path(words[1], run_name='__main__')
            code = 0
        else:
            pytest.fail(f'{command}\nis not run: do so here, or say in NOT_RUN why not')
        said = capsys.readouterr()
        assert code == 0, f'{command}\n{said.out}{said.err}'
        if '--out' in words:
            assert Path(words[words.index('--out') + 1]).exists(), command


def expand(word: str) -> list[str]:
    """As a shell would, and for what a page leaves to fill in."""
    for name, value in STANDING_FOR.items():
        word = word.replace(name, value)
    word = os.path.expandvars(word)
    return sorted(glob.glob(word)) if '*' in word else [word]


@pytest.mark.slow
@pytest.mark.ros
@pytest.mark.timeout(300)
def test_commands_beside_a_stack_run(
    ros_domain: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While the car drives; the nodes are active and say nothing of errors.

    All at once but those that stop it and let it go on: a stopped car has nothing to echo.
    """
    monkeypatch.setenv('PATH', f'{Path(sys.executable).parent}:{os.environ["PATH"]}')
    env = environment(make_prefix(tmp_path / 'prefix'))
    shutil.copytree(TREE / 'examples', tmp_path / 'examples')

    started: list[Process] = []

    def start(*words: str) -> Process:
        log = tmp_path / f'log_{len(started)}'
        started.append(Process(words, log, env=env, cwd=tmp_path))
        return started[-1]

    beside = {
        (*command.words, *BESIDE[pattern]): command
        for page in PAGES
        for command in found(page)
        for pattern in matches(command, BESIDE)
    }
    try:
        stack = start(*STACK.split())
        stack.wait_for('episode=0', 100.0)
        drives = [words for words in beside if words[3] not in STOP_AND_GO]
        stops = [words for words in beside if words[3] in STOP_AND_GO]
        for group in (drives, *([words] for words in stops)):
            for process, command in [(start(*words), beside[words]) for words in group]:
                assert process.wait(60.0) == 0, f'{command}\n{process.output}'
        states = start('ros2', 'lifecycle', 'get')
        assert states.wait(40.0) == 0
        for name in ('planner', 'learner', 'bridge'):
            assert f'/{name}: active' in states.output
        assert stack.interrupt() == 0
        assert '[ERROR]' not in stack.output
    finally:
        for process in started:
            process.kill()


def test_nothing_is_listed_that_no_page_has() -> None:
    every = [command for page in PAGES for command in found(page)]
    listed = {*NOT_RUN, *BESIDE, STACK}
    assert not listed - {pattern for command in every for pattern in matches(command, listed)}
    assert {*PAGES_NOT_RUN} <= {str(page.relative_to(TREE)) for page in PAGES}
    assert {*GIVEN} <= {page for page, run in RUN.items() if run}
