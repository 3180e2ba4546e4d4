# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Tasks by name, from installed packages and as MODULE:OBJECT."""

from __future__ import annotations

from pathlib import Path

import pytest
from packages import install, task_source

from loop_ros.sim import registry


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of installed packages."""
    monkeypatch.syspath_prepend(str(tmp_path))
    return tmp_path


def test_an_installed_package_brings_a_task(site: Path) -> None:
    install(site, 'one_boat', task_source('boat'), {'boat': 'one_boat.task:TASK'})
    assert 'boat' in registry.names()
    assert registry.task('boat').default_d0 == 1.5
    assert registry.task('boat') is registry.task('one_boat.task:TASK')
    (source,) = [source for source in registry.sources() if source.name == 'boat']
    assert source.origin == 'one_boat 1.2 (one_boat.task:TASK)'


def test_a_broken_package_is_named_and_breaks_no_other(site: Path) -> None:
    install(site, 'sunk', 'import no_such_driver', {'wreck': 'sunk.task:TASK'})
    install(site, 'two_boats', task_source('boat'), {'boat': 'two_boats.task:TASK'})
    assert {'wreck', 'boat', 'drift_car'} <= set(registry.names())
    assert registry.task('boat').name == 'boat'
    with pytest.raises(ValueError, match=r'wreck of sunk 1\.2 .*no_such_driver.*install'):
        registry.task('wreck')


@pytest.mark.parametrize(
    ('source', 'message'),
    [
        ('TASK = 3', 'is of the type int, not a'),
        ('', "has no attribute 'TASK'"),
        ('raise RuntimeError("no licence")', 'RuntimeError: no licence'),
        (task_source('ship'), "name 'ship': give both the same name"),
        (task_source('boat@2'), "its name is 'boat@2'.*choose a name without it"),
        (task_source('boat', state_dim='3'), 'encode of'),
        (task_source('boat', control_period='-1'), 'control_period is -1'),
    ],
    ids=['no task', 'no object', 'fails', 'other name', 'name with a mark', 'functions', 'values'],
)
def test_what_an_entry_point_offers_is_checked(source: str, message: str, site: Path) -> None:
    package = f'of_{site.name}'  # modules stay imported
    install(site, package, source, {'boat': f'{package}.task:TASK'})
    with pytest.raises(ValueError, match=message) as raised:
        registry.task('boat')
    assert package in str(raised.value)


def test_a_name_that_is_taken_is_refused_with_both_origins(site: Path) -> None:
    install(site, 'thief', task_source('drift_car'), {'drift_car': 'thief.task:TASK'})
    with pytest.raises(ValueError, match=r'loop_ros and thief 1\.2 \(thief.task:TASK\)'):
        registry.task('drift_car')
    assert registry.task('Hopper').name == 'Hopper'


def test_an_unknown_name_is_answered_with_those_there_are(site: Path) -> None:
    install(site, 'three_boats', task_source('boat'), {'boat': 'three_boats.task:TASK'})
    with pytest.raises(ValueError, match=r"'bot'; .*Hopper.* boat, drift_car; .*module:TASK"):
        registry.task('bot')


@pytest.mark.parametrize(
    ('path', 'message'),
    [
        ('no_such_package.task:TASK', 'start in the folder that holds the package'),
        ('loop_ros.sim.drift_car:CAR', "has no attribute 'CAR'"),
        ('loop_ros.sim.drift_car:RADIUS', 'is of the type float'),
        (':TASK', 'task :TASK: '),
        ('loop_ros:', 'task loop_ros:: '),
    ],
)
def test_a_path_without_a_task_says_why(path: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        registry.task(path)
