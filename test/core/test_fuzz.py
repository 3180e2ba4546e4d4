# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Whatever bytes a reader is given, it reads them or says with a ValueError what is wrong.

Memory has a limit while it does: an allocation beyond it is a MemoryError, which fails the test.
"""

from __future__ import annotations

import contextlib
import json
import resource
import shutil
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import tiny
import yaml
from bag_files import TASK, command, drive, odometry, transition_messages, write_bag
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from loop_ros import plain_yaml
from loop_ros.agent import Agent
from loop_ros.bags.reader import BagReader
from loop_ros.bags.repair import repair
from loop_ros.profiles import profile_names, profile_path
from loop_ros.settings import Settings

ROOM = 2**29  # bytes beyond what the process has
FIXTURES = [HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
few = settings(max_examples=25, suppress_health_check=FIXTURES)
many = settings(max_examples=80, suppress_health_check=FIXTURES)


@pytest.fixture(autouse=True)
def bounded() -> Iterator[None]:
    before = resource.getrlimit(resource.RLIMIT_AS)
    pages = int(Path('/proc/self/statm').read_text().split()[0])
    now = pages * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (now + ROOM, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_AS, before)


@st.composite
def damaged(draw: st.DrawFn, whole: bytes) -> bytes:
    """A file with up to four places that are changed, cut out, put in or doubled."""
    data = bytearray(whole)
    for _ in range(draw(st.integers(1, 4))):
        place = draw(st.integers(0, max(len(data) - 1, 0)))
        size = draw(st.sampled_from([1, 2, 4, 8, 40, 500]))
        match draw(st.sampled_from(['write', 'number', 'cut', 'insert', 'double', 'end'])):
            case 'write':
                data[place : place + size] = draw(st.binary(min_size=size, max_size=size))
            case 'number':
                number = draw(st.sampled_from([0, 1, 0xFF, 2**31 - 1, 2**31, 2**32 - 1, 2**63]))
                data[place : place + 8] = struct.pack(draw(st.sampled_from('<>')) + 'Q', number)
            case 'cut':
                del data[place : place + size]
            case 'insert':
                data[place:place] = draw(st.binary(max_size=size))
            case 'double':
                data[place:place] = data[place : place + size]
            case 'end':
                del data[place:]
    return bytes(data)


# --- weights ---


@pytest.fixture(scope='module')
def agent() -> Agent:
    return tiny.trained()


@many
@given(data=st.data())
def test_weights(agent: Agent, data: st.DataObject) -> None:
    version, whole = agent.version, agent.weights()
    changed = data.draw(st.one_of(damaged(whole), damaged(whole[:400]), st.binary()))
    if changed == whole:
        return
    with pytest.raises(ValueError, match='^weights: '):
        agent.load_weights(changed)
    assert agent.version == version


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5)
    | st.sampled_from(['F32', 'I64', 'data_offsets', 2**62, -1]),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=8,
)  # fmt: skip


@pytest.mark.slow
@many
@given(data=st.data())
def test_headers_of_weights(agent: Agent, data: st.DataObject) -> None:
    """Well-formed JSON that says something else."""
    whole = agent.weights()
    (length,) = struct.unpack('<Q', whole[:8])
    header: dict[str, Any] = json.loads(whole[8 : 8 + length])
    name = data.draw(st.sampled_from(sorted(header)))
    if data.draw(st.booleans()):
        header[name] = data.draw(VALUES)
    else:
        header[name][data.draw(st.sampled_from(sorted(header[name])))] = data.draw(VALUES)
    text = json.dumps(header).encode()
    changed = struct.pack('<Q', len(text)) + text + whole[8 + length :]
    with pytest.raises(ValueError, match='^weights: '):
        agent.load_weights(changed)


# --- bags ---

DRIVEN = drive(3, 4)


def messages() -> list[Any]:
    """Transitions, and states with commands of a robot in another namespace."""
    found = transition_messages(DRIVEN)
    for index, t in enumerate(DRIVEN):
        stamp = index * 35_000_000
        kind = 'nav_msgs/msg/Odometry', 'sensor_msgs/msg/JointState'
        found.append(('/r/odom', kind[0], stamp, odometry(t.observation, stamp)))
        found.append(('/r/command', kind[1], stamp, command(t.action, stamp)))
    return found


FORMS: dict[str, dict[str, Any]] = {'mcap': {}, 'sqlite': {'sqlite': True}}


@pytest.fixture(scope='module', params=FORMS)
def bag(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp('bags') / 'whole'
    return write_bag(folder, messages(), **FORMS[request.param])


def read(path: Path, rebuild: bool) -> int:
    """How many transitions; 0 where it says what is wrong."""
    try:
        found = list(BagReader([path], TASK, rebuild=rebuild))
    except ValueError as error:
        assert path.name in str(error)
        return 0
    assert len(found) <= 2 * len(DRIVEN)
    return len(found)


def storage(folder: Path) -> Path:
    return next(file for file in folder.iterdir() if file.suffix in ('.mcap', '.db3'))


@few
@given(data=st.data(), rebuild=st.booleans())
def test_bag_files(bag: Path, tmp_path: Path, data: st.DataObject, rebuild: bool) -> None:
    file = tmp_path / storage(bag).name
    file.write_bytes(data.draw(damaged(storage(bag).read_bytes())))
    read(file, rebuild)


@few
@given(data=st.data())
def test_repair_of_bag_files(bag: Path, tmp_path: Path, data: st.DataObject) -> None:
    file, out = tmp_path / storage(bag).name, tmp_path / 'new'
    file.write_bytes(data.draw(damaged(storage(bag).read_bytes())))
    with contextlib.suppress(ValueError):
        repair(file, out)
        read(out, False)
    shutil.rmtree(out, ignore_errors=True)


@few
@given(data=st.data())
def test_metadata_of_bags(bag: Path, tmp_path: Path, data: st.DataObject) -> None:
    """Whatever it says, the messages are read, or the bag is refused."""
    folder = tmp_path / 'bag'
    shutil.copytree(bag, folder, dirs_exist_ok=True)
    described = folder / 'metadata.yaml'
    said = yaml.safe_load((bag / 'metadata.yaml').read_text())
    inside = said['rosbag2_bagfile_information']
    if data.draw(st.booleans()):
        inside[data.draw(st.sampled_from(sorted(inside)))] = data.draw(VALUES)
    else:
        topic = data.draw(st.sampled_from(inside['topics_with_message_count']))
        topic[data.draw(st.sampled_from(sorted(topic)))] = data.draw(VALUES)
    described.write_text(yaml.safe_dump(said))
    read(folder, False)
    described.write_bytes(data.draw(damaged((bag / 'metadata.yaml').read_bytes())))
    read(folder, False)


# --- profiles ---


@many
@given(data=st.data())
def test_profiles(tmp_path: Path, data: st.DataObject) -> None:
    """Those that are shipped, damaged; and others made up of the same names."""
    whole = profile_path(data.draw(st.sampled_from(profile_names()))).read_bytes()
    sections = {name: list(entries) for name, entries in Settings().to_dict().items()}
    if data.draw(st.booleans()):
        changed = data.draw(damaged(whole))
    else:
        section = data.draw(st.sampled_from(sorted(sections)))
        entry = data.draw(st.sampled_from(sections[section]))
        value = data.draw(VALUES)
        made: Any = data.draw(st.sampled_from([{section: {entry: value}}, {section: value}, value]))
        changed = yaml.safe_dump(made, allow_unicode=True).encode('utf-8', 'replace')
    file = tmp_path / 'made.yaml'
    file.write_bytes(changed)
    try:
        settings_read = Settings.load(str(file))
    except ValueError:
        return
    assert isinstance(settings_read, Settings)


LAUGHS = ['a0: &a0 {x: 1}'] + [
    f'a{n}: &a{n} {{<<: [{", ".join([f"*a{n - 1}"] * 9)}]}}' for n in range(1, 12)
]


@pytest.mark.parametrize(
    ('text', 'reason'),
    [
        ('\n'.join(LAUGHS), 'more than 20 references'),
        ('[' * 100_000, 'more than 50 levels'),
        ('{a: ' * 100_000, 'more than 50 levels'),
        ('- ' * 100_000, 'more than 50 levels'),
        ('a: !!python/object/apply:os.getcwd []', 'not YAML'),
        ('a: 2001-99-99', ''),
        ('a: ' + '9' * 5000, ''),
        ('a: "\\x00', 'not YAML'),
        ('\x00', 'not YAML'),
    ],
)
def test_yaml_that_is_more_than_values(text: str, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        plain_yaml.load(text)


def test_references_that_mean_something_stay() -> None:
    text = 'a: &a {x: 1}\nb: {<<: *a, y: 2}\nc: [*a, *a]'
    expected = {'a': {'x': 1}, 'b': {'x': 1, 'y': 2}, 'c': [{'x': 1}, {'x': 1}]}
    assert plain_yaml.load(text) == expected


def test_a_number_beyond_all_floats_is_refused_by_name() -> None:
    with pytest.raises(ValueError, match=r'planner\.d0: 1\d+ is not a finite number'):
        Settings.from_dict({'planner': {'d0': 10**400}})
