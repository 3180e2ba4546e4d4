# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The panel beside a running stack, in a real browser: what it shows, and what a click does."""

from __future__ import annotations

import contextlib
import re
import signal
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from browser import Browser, needs_chromium
from stack import Process, make_checkpoint, node_command, until

pytestmark = pytest.mark.slow


def start_panel(log: Path, *rules: str, **parameters: object) -> tuple[Process, str]:
    """A panel on a free port, and its address."""
    process = Process(node_command('panel', *rules, port=0, **parameters), log)
    process.wait_for('open http://')
    return process, re.findall(r'open (http://\S+)', process.output)[0]


@pytest.fixture(scope='module')
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Browser, Path]]:
    """Bridge, planner and panel, and the panel's page in a browser."""
    folder = tmp_path_factory.mktemp('panel')
    small = make_checkpoint(folder / 'kept' / 'small', num_samples=16, num_iterations=1, min_safe=1)
    planner = node_command('planner', checkpoint=small, what_if='[0.0,1.0,6.0]', trial_steps=0)
    with contextlib.ExitStack() as ends:
        for name, command in (('bridge', node_command('bridge')), ('planner', planner)):
            ends.callback(Process(command, folder / name).kill)
        panel, address = start_panel(
            folder / 'panel', recordings=folder / 'bags', checkpoints=folder / 'kept'
        )
        ends.callback(panel.kill)
        browser = Browser(folder / 'profile')
        ends.callback(browser.close)
        browser.open(address)
        browser.wait('level', 'plan', 40)
        yield browser, folder


@needs_chromium
def test_a_task_without_a_plane_shows_its_simulator(ros_domain: int, tmp_path: Path) -> None:
    """The cheetah's picture, as the bridge sends it while an untrained planner drives."""
    pytest.importorskip('mujoco')
    with contextlib.ExitStack() as ends:
        command = node_command('bridge', task='HalfCheetah', images=True, step_mode='realtime')
        bridge = Process(command, tmp_path / 'bridge')
        ends.callback(bridge.kill)
        bridge.wait_for('HalfCheetah: ')
        if 'no pictures' in bridge.output:
            pytest.skip(bridge.output)
        planner = node_command('planner', task='HalfCheetah', step_mode='realtime')
        ends.callback(Process(planner, tmp_path / 'planner').kill)
        panel, address = start_panel(tmp_path / 'panel', task='HalfCheetah')
        ends.callback(panel.kill)
        browser = Browser(tmp_path / 'profile')
        ends.callback(browser.close)
        browser.open(address)
        shown = "document.querySelector('[data-testid=view] img')?.naturalWidth > 100"
        until(lambda: browser.evaluate(shown), 40, 'the picture')


@needs_chromium
def test_it_shows_plan_figures_and_curves(stack: tuple[Browser, Path]) -> None:
    browser, _ = stack
    browser.wait('metrics', 'm/s')
    browser.wait('figures', 'missed periods')
    until(lambda: browser.evaluate("document.querySelectorAll('.plan').length"), 10, 'the plan')
    assert browser.evaluate("document.querySelectorAll('.candidate').length") == 16
    assert browser.evaluate("document.querySelectorAll('.track, .limit').length") == 2
    assert browser.evaluate("document.querySelectorAll('canvas').length") == 5
    address = browser.evaluate('location.origin')
    assert all(url.startswith((address, 'data:', 'blob:')) for url in browser.requested)


@needs_chromium
def test_a_threshold_is_asked_about_set_and_acknowledged(stack: tuple[Browser, Path]) -> None:
    browser, _ = stack
    rows = "[...document.querySelectorAll('[data-testid=what-if] tbody tr')]"
    until(lambda: browser.evaluate(f'{rows}.length') == 3, 10, 'what if')
    first = browser.evaluate(f'{rows}.map(row => row.cells[0].innerText)')
    assert first == ['0', '1', '6']
    browser.evaluate(f'{rows}[2].click()')
    until(lambda: browser.evaluate("document.querySelectorAll('.preview').length"), 5, 'a preview')
    browser.click('set')
    browser.wait('said', 'd0 = 6 is set')
    browser.wait('effective', 'd0 = 6 in use since the plan for the state at')


@needs_chromium
def test_a_stop_holds_until_a_second_click(stack: tuple[Browser, Path]) -> None:
    browser, _ = stack
    browser.click('stop')
    browser.wait('level', 'stop')
    browser.wait('reason', 'operator stop')
    browser.click('reset')
    browser.wait('said', 'it was stopped by: operator stop')
    assert browser.text('level') == 'stop'
    browser.click('reset')
    browser.wait('said', 'released: operator stop')
    browser.wait('level', 'plan')


@needs_chromium
def test_it_explains_records_tries_weights_and_begins_episodes(
    stack: tuple[Browser, Path],
) -> None:
    browser, folder = stack
    browser.click('explain')
    browser.wait('said', 'runner-up')
    browser.click('record')
    browser.wait('record', 'End recording')
    (bag,) = until(lambda: list((folder / 'bags').glob('*')), 10, 'a bag')
    until(lambda: list(bag.glob('*.mcap')), 20, 'its file')
    browser.click('record')
    browser.wait('said', f'{bag} is recorded')
    assert (bag / 'metadata.yaml').is_file()
    field = "document.querySelector('[data-testid=checkpoint]')"
    browser.evaluate(
        f"{field}.value = '{folder}/kept/small'; {field}.dispatchEvent(new Event('input'))"
    )
    browser.click('load')
    browser.wait('said', 'small is tried')
    browser.click('begin')
    browser.wait('said', 'ends with the running step')


@needs_chromium
@pytest.mark.parametrize('width', [1400, 420])
def test_nothing_is_wider_than_the_screen(stack: tuple[Browser, Path], width: int) -> None:
    browser, _ = stack
    browser.resize(width, 900)
    browser.wait('figures', 'missed periods')
    assert browser.evaluate('document.documentElement.scrollWidth') <= width
    top = browser.evaluate(
        "document.querySelector('[data-testid=stop]').getBoundingClientRect().bottom"
    )
    assert 0 < top < 200


@needs_chromium
def test_a_silent_planner_is_called_so_and_another_origin_gets_nothing(tmp_path: Path) -> None:
    """By its token from anywhere: in a namespace of its own, with nobody in it."""
    process, address = start_panel(
        tmp_path / 'log', '-r', '__ns:=/alone', host='0.0.0.0', token='secret'
    )
    with contextlib.ExitStack() as ends:
        ends.callback(process.kill)
        assert address.endswith('?token=secret')
        process.wait_for('nothing is encrypted')
        address = address.replace('0.0.0.0', '127.0.0.1')
        assert [status(address.partition('?')[0]), status(address)] == [403, 200]
        browser = Browser(tmp_path / 'profile')
        ends.callback(browser.close)
        browser.open(address)
        browser.wait('reason', 'nothing is heard of the planner')
        browser.click('stop')
        browser.wait('said', 'planner/stop: no answer')
        process.popen.send_signal(signal.SIGINT)
        assert process.popen.wait(20) == 0


def status(address: str) -> int:
    try:
        with urllib.request.urlopen(address) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        return error.code
