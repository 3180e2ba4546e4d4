# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
"""`ros2 launch` and its processes: output, exit codes, Ctrl-C, escalation, respawn, sudden death.

Where a ROS 2 installation is sourced, what must be the same is also asked of the real `ros2`.
"""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from standalone_cli import COMMAND, interrupt, is_running, read_until, wait_until

pytestmark = pytest.mark.slow
REAL = pytest.param(
    [shutil.which('ros2') or 'ros2'],
    id='real',
    marks=pytest.mark.skipif(
        importlib.util.find_spec('ros2launch') is None, reason='no ROS 2 installation'
    ),
)
CHILD = """
import os, signal, sys, time
for name in sys.argv[1:]:
    signal.signal(getattr(signal, name), lambda n, _: print(signal.Signals(n).name, flush=True))
print('pid', os.getpid(), flush=True)
while True:
    time.sleep(0.05)
"""
_started: list[subprocess.Popen[str]] = []


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder with child.py, which prints its pid and the signals it is told to ignore."""
    monkeypatch.setenv('ROS_LOG_DIR', str(tmp_path / 'log'))
    (tmp_path / 'child.py').write_text(CHILD)
    yield tmp_path
    for process in _started:  # of a test that failed
        process.kill()
        process.communicate()
    _started.clear()


def launch(
    folder: Path, text: str, *arguments: str, command: list[str] = COMMAND
) -> subprocess.Popen[str]:
    path = folder / 'test.launch.yaml'
    path.write_text(text)
    process = subprocess.Popen(
        [*command, 'launch', str(path), *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env=os.environ | {'PYTHON': sys.executable},
    )
    _started.append(process)
    return process


def finish(process: subprocess.Popen[str]) -> tuple[int, str]:
    output = process.communicate(timeout=30)[0]
    return process.returncode, output


def child(arguments: str = '', more: str = '') -> str:
    command = f'$(env PYTHON) $(dirname)/child.py {arguments}'
    return f'- executable: {{name: child, output: screen, cmd: {command}{more}}}\n'


def pid_in(output: str) -> int:
    return int(re.findall(r'\] pid (\d+)', output)[-1])


@pytest.mark.parametrize('command', [pytest.param(COMMAND, id='standalone'), REAL])
def test_output_and_clean_shutdown(folder: Path, command: list[str]) -> None:
    process = launch(
        folder,
        """
launch:
- arg: {name: text, default: none}
- executable: {cmd: echo said $(var text), output: screen}
- executable: {name: quiet, cmd: sh -c "echo to log; echo to screen >&2"}
- executable: {name: late, cmd: sh -c "sleep 1; printf 'no end of line'", output: screen,
    on_exit: shutdown}
- executable: {cmd: sleep 100}
""",
        'text:=hello',
        command=command,
    )
    code, output = finish(process)
    assert code == 0
    lines = output.splitlines()
    assert '[echo-1] said hello' in lines
    assert '[quiet-2] to screen' in lines
    assert '[quiet-2] to log' not in lines
    assert '[late-3] no end of line' in lines
    assert '[INFO] [launch]: process[late-3] was required: shutting down launched system' in lines
    # The real one also links the newest folder as 'latest'.
    (log,) = {path.resolve() for path in (folder / 'log').glob('*/launch.log')}
    assert '[quiet-2] to log' in log.read_text()


@pytest.mark.parametrize('command', [pytest.param(COMMAND, id='standalone'), REAL])
def test_ctrl_c(folder: Path, command: list[str]) -> None:
    process = launch(folder, 'launch:\n' + child() + child(), command=command)
    first = pid_in(read_until(process, '[child-2] pid'))
    output = interrupt(process)
    assert process.returncode == 0
    assert "[INFO] [child-1]: sending signal 'SIGINT' to process[child-1]" in output
    assert 'KeyboardInterrupt' in output
    assert not is_running(first)


def test_says_what_it_is(folder: Path) -> None:
    code, output = finish(launch(folder, 'launch: [{executable: {cmd: "true"}}]'))
    assert code == 0
    assert 'standalone subset of ros2' in output.splitlines()[0]


@pytest.mark.parametrize(
    ('processes', 'expected'),
    [
        (['exit 0'], 0),
        (['exit 3'], 3),
        (['sleep 0.5; exit 4', 'exit 3'], 3),
        (['kill -SEGV $$'], 128 + signal.SIGSEGV),
    ],
)
def test_exit_code_is_that_of_the_first_failure(
    folder: Path, processes: list[str], expected: int
) -> None:
    entities = ''.join(f'- executable: {{cmd: sh -c "{text}"}}\n' for text in processes)
    code, output = finish(launch(folder, f'launch:\n{entities}'))
    assert code == expected, output
    if expected:
        assert 'process has died [pid' in output


def test_failed_required_process(folder: Path) -> None:
    text = 'launch:\n- executable: {cmd: sh -c "exit 5", on_exit: shutdown}\n' + child()
    code, output = finish(launch(folder, text))
    assert (code, 'was required' in output) == (5, True)


def test_a_program_that_is_not_there(folder: Path) -> None:
    code, output = finish(launch(folder, 'launch: [{executable: {cmd: /no/such/program}}]'))
    assert code == 127
    assert "cannot start '/no/such/program': No such file or directory" in output


def test_nothing_starts_where_the_launch_file_is_wrong(folder: Path) -> None:
    text = 'launch:\n- executable: {cmd: touch started}\n- executable: {cmd: $(var nothing)}\n'
    code, output = finish(launch(folder, text))
    assert code == 1
    assert 'test.launch.yaml:3:' in output
    assert 'process started' not in output


def test_escalation(folder: Path) -> None:
    text = 'launch:\n' + child('SIGINT SIGTERM', ', sigkill_timeout: 0.4')
    process = launch(folder, text, 'sigterm_timeout:=0.3')
    pid = pid_in(read_until(process, '] pid'))
    start = time.monotonic()
    output = interrupt(process)
    assert process.returncode == 0
    assert 0.7 <= time.monotonic() - start < 10.0, 'the default is five seconds and five more'
    wanted = ['[child-1] SIGINT', "signal 'SIGTERM'", '[child-1] SIGTERM', "signal 'SIGKILL'"]
    places = [output.index(text) for text in wanted]
    assert places == sorted(places)
    assert not is_running(pid)


def test_sigterm_to_the_launcher_shuts_down_in_order(folder: Path) -> None:
    process = launch(folder, 'launch:\n' + child())
    pid = pid_in(read_until(process, '] pid'))
    process.send_signal(signal.SIGTERM)
    code, output = finish(process)
    assert (code, 'KeyboardInterrupt' in output) == (0, True)
    assert not is_running(pid)


def test_what_a_process_leaves_behind_is_ended(folder: Path) -> None:
    text = 'launch: [{executable: {cmd: sh -c "sleep 300 & echo pid $!", output: screen}}]'
    code, output = finish(launch(folder, text))
    assert code == 0
    wait_until(lambda: not is_running(pid_in(output)))


def test_killed_launcher_leaves_no_child(folder: Path) -> None:
    process = launch(folder, 'launch:\n' + child('SIGINT SIGTERM') + child())
    pids = {pid_in(read_until(process, '] pid')) for _ in range(2)}
    assert len(pids) == 2
    os.kill(process.pid, signal.SIGKILL)
    process.communicate(timeout=10)
    wait_until(lambda: not any(is_running(pid) for pid in pids))


def test_respawn(folder: Path) -> None:
    text = (
        'launch:\n'
        '- executable: {name: short, cmd: sh -c "echo run; exit 1", output: screen,'
        " respawn: 'true', respawn_delay: 0.2, respawn_max_retries: 2}\n"
    )
    start = time.monotonic()
    code, output = finish(launch(folder, text))
    assert output.count('[short-1] run') == 3
    assert time.monotonic() - start > 0.4
    assert code == 1  # the last failure was not answered by a new start


def test_ctrl_c_while_a_respawn_is_waited_for(folder: Path) -> None:
    text = (
        'launch:\n- executable: {name: short, cmd: "true", respawn: "true", respawn_delay: 60.0}\n'
    )
    process = launch(folder, text)
    read_until(process, 'finished cleanly')
    interrupt(process)
    assert process.returncode == 0


def test_ctrl_c_after_a_failure_is_no_failure(folder: Path) -> None:
    process = launch(folder, 'launch:\n- executable: {cmd: "false"}\n' + child())
    read_until(process, 'process has died')
    interrupt(process)
    assert process.returncode == 0


def test_long_output_is_complete(folder: Path) -> None:
    text = 'launch: [{executable: {cmd: seq 200000, output: screen, name: seq}}]'
    code, output = finish(launch(folder, text))
    numbers = [line.split()[1] for line in output.splitlines() if line.startswith('[seq-1] ')]
    assert code == 0
    assert numbers == [str(n) for n in range(1, 200001)]


def test_nodes_find_packages_and_run_unbuffered(folder: Path) -> None:
    text = 'launch: [{executable: {cmd: env, output: screen}}]'
    _, output = finish(launch(folder, text))
    assert sys.prefix in output.split('AMENT_PREFIX_PATH=')[1].splitlines()[0]
    assert 'PYTHONUNBUFFERED=1' in output
