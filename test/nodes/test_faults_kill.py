# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Nodes that are killed or frozen while a stack drives, and their return (docs/faults.md)."""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator

import numpy as np
import pytest
from domains import free_domain
from faults import CAR, Stack, stored
from stack import until

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]
NODES = ('bridge', 'planner', 'learner')


@pytest.fixture(scope='module')
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """A stack that drives; every test leaves it driving."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv('ROS_DOMAIN_ID', str(free_domain()))
        stack = Stack(tmp_path_factory.mktemp('stack'))
        try:
            come_up_in_spite_of_kills(stack)
            yield stack
            stack.assert_safe()
            for name in NODES:
                assert stack.processes[name].interrupt() == 0
        finally:
            stack.close()


def come_up_in_spite_of_kills(stack: Stack) -> None:
    stack.start(*NODES)
    time.sleep(1.0)  # among the imports
    stack.kill(*NODES)
    stack.start(*NODES)
    for name in NODES:
        stack.processes[name].wait_for('drift_car: ')  # configured, and not active
        stack.kill(name)
    stack.start(*NODES)
    stack.drives()


def test_killed_while_coming_up(stack: Stack) -> None:
    assert stack.assert_stored() == []
    assert stack.status('learner')['missing'] == '0'


def test_a_killed_planner_returns(stack: Stack) -> None:
    """The robot stands meanwhile, and the planner has the learner's weights again."""
    first = len(stack.transitions)
    stack.kill('planner')
    stack.processes['bridge'].wait_for('no command on /command for 0.5 s: safe command')
    count = len(stack.transitions)
    until(lambda: len(stack.transitions) > count + 5, 20, 'further steps')
    np.testing.assert_array_equal(stack.heard()[-1].action, CAR.safe_command)
    stack.start('planner')
    stack.drives()
    until(lambda: int(stack.status('planner')['weights version']) > 1, 30, 'learned weights')
    assert stack.assert_stored(first) == []


def test_a_killed_bridge_returns(stack: Stack) -> None:
    """Its numbers start over, and the learner takes that for what it is."""
    first = len(stack.transitions)
    before = stack.status('learner')
    stack.kill('bridge')
    until(lambda: stack.status('planner')['level'] == '4', 20, 'the stop')
    count = len(stack.transitions)
    stack.start('bridge')
    stack.drives()
    again = stack.heard()[count]
    assert (again.episode, again.step) == (0, 0)
    # The transition under way may have reached one listener and not the other.
    lost = stack.assert_stored(first, unheard=1)
    assert lost in ([], [1])
    after = stack.status('learner')
    assert int(after['restarts']) == int(before['restarts']) + 1
    assert after['missing'] == before['missing']


def test_a_learner_killed_while_saving_and_training_returns(stack: Stack) -> None:
    """It resumes from its last save, and the planner drives on without it."""
    first = len(stack.transitions)
    moments = {
        'a save': lambda: list(stack.kept.glob('.*.new')),
        'a training': lambda: int(stack.status('learner')['backlog']) > 0,
    }
    for what, under_way in moments.items():
        stack.drives()
        until(under_way, 60, what)
        stack.kill('learner')
        kept = len(stored(stack.kept))  # it loads
        stack.drives()
        stack.start('learner')
        stack.processes['learner'].wait_for(f'resumed from {stack.kept}, {kept} steps')
    stack.drives()
    lost = stack.assert_stored(first)
    assert len(lost) <= len(moments)  # each kill costs what came from the last save to the return
    assert stack.status('learner')['missing'] == '0'
    version = int(stack.status('learner')['weights version'])
    until(lambda: int(stack.status('planner')['weights version']) > version, 60, 'new weights')


def test_a_frozen_learner_misses_nothing(stack: Stack) -> None:
    """The planner drives on; what was sent meanwhile comes afterwards."""
    stack.drives()
    first, missing = len(stack.transitions), stack.status('learner')['missing']
    learner = stack.processes['learner'].popen
    learner.send_signal(signal.SIGSTOP)
    try:
        stack.drives(150)
    finally:
        learner.send_signal(signal.SIGCONT)
    assert stack.assert_stored(first) == []
    status = stack.status('learner')
    assert (status['missing'], status['duplicates']) == (missing, '0')
