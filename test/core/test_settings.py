# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Settings refuse nonsense with a reason, and the paper's profile is the paper's."""

from __future__ import annotations

import dataclasses
import math
import warnings
from pathlib import Path
from typing import Any

import pytest
import yaml

from loop_ros.settings import PlannerSettings, Settings

SECTIONS = {item.name: item.default_factory for item in dataclasses.fields(Settings)}
FIELDS = [
    pytest.param(section, item, id=f'{section}.{item.name}')
    for section, kind in SECTIONS.items()
    for item in dataclasses.fields(kind)  # type: ignore[arg-type]
]


@pytest.mark.parametrize(('section', 'item'), FIELDS)
def test_every_setting_is_described_and_bounded(section: str, item: Any) -> None:
    assert len(item.metadata['description']) > 4
    assert isinstance(item.metadata['live'], bool)
    default = getattr(getattr(Settings(), section), item.name)
    if item.metadata['choices']:
        assert default in item.metadata['choices']
    elif item.type != 'bool':
        assert item.type in ('int', 'float')
        assert item.metadata['minimum'] <= default <= item.metadata['maximum']
        assert type(default).__name__ == item.type


@pytest.mark.parametrize(('section', 'item'), FIELDS)
def test_every_setting_refuses_what_it_cannot_be(section: str, item: Any) -> None:
    """The message names the setting and the value, and what would be right."""
    bad: list[tuple[Any, str]] = [(None, ''), ([1], ''), ({}, '')]
    if item.metadata['choices']:
        bad += [('nonsense', 'is not one of ' + item.metadata['choices'][0]), (3, '')]
    elif item.type == 'bool':
        bad += [(1, 'is not true or false'), ('yes', 'is not true or false')]
    else:
        low, high = item.metadata['minimum'], item.metadata['maximum']
        outside = rf'is outside \[{low}, {high}\]'
        bad += [
            (low - 1, outside), (high + 1, outside), (math.nan, 'not a finite number'),
            (math.inf, 'not a finite number'), (-math.inf, 'not a finite number'), (True, ''),
            ('much', 'not a'),
        ]  # fmt: skip
        if item.type == 'int':
            bad.append((low + 0.5, 'not a whole number'))
    for value, message in bad:
        with pytest.raises(ValueError, match=rf'{section}\.{item.name}: .*{message}') as refused:
            Settings().replace({f'{section}.{item.name}': value})
        shown = str(float(value)) if item.type == 'float' and 'outside' in message else str(value)
        assert shown in str(refused.value)


@pytest.mark.parametrize(('section', 'item'), FIELDS)
def test_bounds_themselves_are_allowed(section: str, item: Any) -> None:
    allowed = item.metadata['choices'] or (item.metadata['minimum'], item.metadata['maximum'])
    for value in (True, False) if item.type == 'bool' else allowed:
        changed = Settings().replace({f'{section}.{item.name}': value})
        found = getattr(getattr(changed, section), item.name)
        assert found == value
        if item.type in ('int', 'float'):
            assert type(found).__name__ == item.type


def test_whole_numbers_are_welcome_for_either_kind() -> None:
    settings = PlannerSettings(d0=1, horizon=5.0)  # type: ignore[arg-type]
    assert (settings.d0, settings.horizon) == (1.0, 5)
    assert isinstance(settings.d0, float)
    assert isinstance(settings.horizon, int)


@pytest.mark.parametrize('text', ['3e-4', '1e-3', '5E-4'])
def test_numbers_that_yaml_reads_as_text_are_numbers(text: str, tmp_path: Path) -> None:
    """YAML 1.1 wants a dot in 3e-4; people, and this project's own profiles, do not."""
    profile = tmp_path / 'mine.yaml'
    profile.write_text(f'off_policy:\n  learning_rate: {text}\n')
    assert isinstance(yaml.safe_load(profile.read_text())['off_policy']['learning_rate'], str)
    assert Settings.load(str(profile)).off_policy.learning_rate == float(text)


def test_settings_cannot_be_changed_behind_the_check() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        Settings().planner.d0 = -1.0  # type: ignore[misc]


# --- profiles ---


def test_the_papers_numbers() -> None:
    """Tables 2 and 3, appendix C.2 and C.4 (safe tasks: H = 8 and 8 iterations)."""
    paper = Settings.load('paper')
    planner, ensemble, off_policy = paper.planner, paper.ensemble, paper.off_policy
    # Table 3
    assert planner.num_samples == 100
    assert planner.num_particles == 4
    assert planner.mean_update == planner.variance_update == 0.1
    assert planner.actor_fraction == 0.05
    assert planner.temperature == 1.0
    # C.4
    assert planner.horizon == 8
    assert planner.num_iterations == 8
    assert planner.algorithm == 'safe_arc'
    # Alg. 3: Q after H-1 rewards, the actor rolled each iteration, plain Gaussian samples
    assert planner.terminal_value == 'q'
    assert planner.resample_actor
    assert not planner.truncate_samples
    assert planner.pessimism == 0.0
    # Table 2
    assert ensemble.train_every == 250
    assert ensemble.num_models == 5
    assert (ensemble.num_layers, ensemble.width) == (4, 200)
    assert ensemble.learning_rate == 0.001
    # C.2
    assert off_policy.width == 256
    assert off_policy.learning_rate == 3e-4
    assert off_policy.batch_size == 256
    assert off_policy.updates_per_step == 1  # Alg. 1
    assert paper.learning.buffer_size == 1_000_000


def test_every_offered_profile_loads() -> None:
    with pytest.raises(ValueError, match="unknown profile 'drift'; use ") as refused:
        Settings.load('drift')
    offered = str(refused.value).partition('; use ')[2].partition(' or the path')[0].split(', ')
    assert {'drift_car', 'paper'} <= set(offered)
    for profile in offered:
        loaded = Settings.load(profile)
        assert loaded == Settings.from_dict(loaded.to_dict())


def test_a_profile_overrides_what_it_names_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / 'mine.yaml'
    path.write_text('planner:\n  d0: 2\nsac:\n')
    assert Settings.load(str(path)) == Settings().replace({'planner.d0': 2.0})
    path.write_text('')
    assert Settings.load(str(path)) == Settings()


def test_defaults_hold_where_the_profile_names_none(tmp_path: Path) -> None:
    path = tmp_path / 'mine.yaml'
    for content, expected in (('', 0.5), ('planner:\n', 0.5), ('planner:\n  d0: 0.2\n', 0.2)):
        path.write_text(content)
        assert Settings.load(str(path), {'planner.d0': 0.5}).planner.d0 == expected


@pytest.mark.parametrize(
    ('content', 'message'),
    [
        (
            'planer:\n  d0: 1\n',
            "unknown section 'planer'; use planner, ensemble, off_policy, model_rollouts, sac, ",
        ),
        ('planner:\n  d_0: 1\n', r"unknown setting 'planner\.d_0'"),
        ('planner:\n  d0: -1\n', r'planner\.d0: -1\.0 is outside \[0, 1000000\.0\]'),
        ('planner: 3\n', 'planner'),
        ('planner: [d0]\n', 'planner'),
        ('- planner\n', 'section'),
        ('just text\n', 'section'),
        ('planner: {d0: 1\n', 'not YAML'),
        ('3: {d0: 1}\n', 'unknown section'),
    ],
)
def test_a_broken_profile_is_refused_by_its_path(
    tmp_path: Path, content: str, message: str
) -> None:
    path = tmp_path / 'mine.yaml'
    path.write_text(content)
    with pytest.raises(ValueError, match=message) as refused:
        Settings.load(str(path))
    assert str(path) in str(refused.value)


def test_a_profile_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r'nowhere\.yaml: no such file'):
        Settings.load(str(tmp_path / 'nowhere.yaml'))


def test_a_profile_in_the_home_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / 'mine.yaml').write_text('planner: {d0: 3.0}')
    monkeypatch.setenv('HOME', str(tmp_path))
    assert Settings.load('~/mine.yaml').planner.d0 == 3.0


# --- replace ---


def test_replace_changes_a_copy() -> None:
    settings = Settings()
    changed = settings.replace({'planner.d0': 0.5, 'off_policy.width': 32})
    assert (changed.planner.d0, changed.off_policy.width) == (0.5, 32)
    assert settings == Settings()
    assert changed.replace({}) == changed
    back = changed.replace(
        {'planner.d0': settings.planner.d0, 'off_policy.width': settings.off_policy.width}
    )
    assert back == settings


@pytest.mark.parametrize('name', ['d0', 'planner', 'planner.', 'planner.x', 'x.d0', '.d0', ''])
def test_replace_refuses_unknown_names(name: str) -> None:
    with pytest.raises(ValueError, match='unknown'):
        Settings().replace({name: 1})


def test_settings_of_earlier_releases_are_migrated_with_a_message(tmp_path: Path) -> None:
    path = tmp_path / 'mine.yaml'
    path.write_text('sac:\n  width: 32\n  model_fraction: 0.5\n  target_entropy: -0.5\n')
    with pytest.warns(FutureWarning) as told:
        found = Settings.load(str(path))
    assert (found.off_policy.width, found.model_rollouts.fraction) == (32, 0.5)
    assert found.sac.target_entropy == -0.5
    assert [str(warning.message) for warning in told] == [
        f'{path}: settings have new names: sac.width is off_policy.width, '
        'sac.model_fraction is model_rollouts.fraction'
    ]
    path.write_text('sac:\n  width: 32\noff_policy:\n  width: 64\n')
    with pytest.warns(FutureWarning):
        assert Settings.load(str(path)).off_policy.width == 64, 'the present name wins'
    with pytest.warns(FutureWarning, match='sac.tau is off_policy.tau now'):
        assert Settings().replace({'sac.tau': 0.5}).off_policy.tau == 0.5
    for broken in ('sac:\n', 'sac: 3\n', 'sac:\n  width: wide\n'):
        path.write_text(broken)
        if broken == 'sac:\n':
            assert Settings.load(str(path)) == Settings()
            continue
        with pytest.raises(ValueError, match='sac|off_policy'), warnings.catch_warnings():
            warnings.simplefilter('ignore')
            Settings.load(str(path))


class Boat:
    """What settings read of a task, whose package brings its profile."""

    default_d0 = 3.0

    def __init__(self, profile: Path, cost: Any = None) -> None:
        self.profile, self.cost = str(profile), cost


def test_a_tasks_profile_is_its_own_file_and_its_threshold_the_default(tmp_path: Path) -> None:
    own, other = tmp_path / 'boat.yaml', tmp_path / 'other.yaml'
    own.write_text('planner: {horizon: 17}')
    other.write_text('planner: {d0: 0.75}')
    found = Settings.for_task(Boat(own)).planner
    assert (found.horizon, found.d0) == (17, 3.0)
    assert Settings.for_task(Boat(own), 'drift_car').planner.d0 == 3.0
    assert Settings.for_task(Boat(own), str(other)).planner.d0 == 0.75, 'a profile may say it'
    with pytest.raises(ValueError, match='lost.yaml: no such file'):
        Settings.for_task(Boat(tmp_path / 'lost.yaml'))


def test_a_cost_that_is_not_known_is_learned_by_a_classifier(tmp_path: Path) -> None:
    own = tmp_path / 'boat.yaml'
    for content, unknown in (('', 'classifier'), ('{cost_head: regression}', 'regression')):
        own.write_text(f'ensemble: {content}')
        assert Settings.for_task(Boat(own)).ensemble.cost_head == unknown
        assert Settings.for_task(Boat(own, cost=abs)).ensemble.cost_head == 'regression'
