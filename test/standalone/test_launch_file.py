# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
"""YAML launch files: what is accepted, what each mistake is answered with."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from standalone_cli import make_prefix

from ros2_standalone.errors import LaunchFileError
from ros2_standalone.launch_actions import Launch
from ros2_standalone.process import ProcessSpec

NODE = '{pkg: demo, exec: run_me, %s}'


@pytest.fixture
def prefix(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    return make_prefix(tmp_path, monkeypatch)


def carry_out(folder: Path, text: str, **arguments: str) -> list[ProcessSpec]:
    path = folder / 'test.launch.yaml'
    path.write_text(text)
    warnings: list[str] = []
    launch = Launch(folder, warnings.append)
    launch.carry_out(path, arguments)
    return launch.processes


def parameters(process: ProcessSpec) -> list[dict[str, object]]:
    words = process.command
    files = [words[i + 1] for i, word in enumerate(words) if word == '--params-file']
    return [yaml.safe_load(Path(file).read_text()) for file in files]


def test_node_command_in_upstreams_order(prefix: Path) -> None:
    (process,) = carry_out(
        prefix,
        """
launch:
- node:
    pkg: demo
    exec: run_me
    name: planner
    namespace: bob
    args: one "two three"
    ros_args: --log-level debug
    param: [{name: k, value: 5}]
    remap: [{from: a, to: b}]
""",
    )
    command = list(process.command)
    file = command[command.index('--params-file') + 1]
    assert command == [
        f'{prefix}/lib/demo/run_me', 'one', 'two three',
        '--ros-args', '--log-level', 'debug',
        '--ros-args', '-r', '__node:=planner', '-r', '__ns:=/bob',
        '--params-file', file, '-r', 'a:=b',
    ]  # fmt: skip
    assert parameters(process) == [{'/bob/planner': {'ros__parameters': {'k': 5}}}]
    assert process.name == 'run_me-1'
    assert (process.output, process.respawn, process.shutdown_on_exit) == ('log', False, False)


def test_parameters_are_typed_as_upstream_types_them(prefix: Path) -> None:
    (process,) = carry_out(
        prefix,
        """
launch:
- let: {name: one, value: '1'}
- let: {name: half, value: '0.5'}
- let: {name: empty, value: ''}
- node:
    pkg: demo
    exec: run_me
    param:
    - {name: integer, value: $(var one)}
    - {name: double, value: $(var half)}
    - {name: forced_double, value: $(var one), type: float}
    - {name: forced_text, value: $(var one), type: str}
    - {name: forced_bool, value: $(var one), type: bool}
    - {name: literal_text, value: '1'}
    - {name: native, value: true}
    - {name: empty, value: $(var empty)}
    - {name: items, value: [$(var one), 2]}
    - {name: list_in_text, value: '[$(var one), 2]'}
    - name: nested
      param:
      - {name: deep, value: [0.5, 1.5]}
""",
    )
    values = [file['/**']['ros__parameters'] for file in parameters(process)]  # type: ignore[index]
    assert {name: value for table in values for name, value in table.items()} == {
        'integer': 1,
        'double': 0.5,
        'forced_double': 1.0,
        'forced_text': '1',
        'forced_bool': True,
        'literal_text': '1',
        'native': True,
        'empty': '',
        'items': [1, 2],
        'list_in_text': [1, 2],
        'nested.deep': [0.5, 1.5],
    }


@given(
    st.one_of(st.booleans(), st.integers(-(2**31), 2**31), st.floats(allow_nan=False), st.text())
)
def test_any_scalar_parameter_keeps_its_type(value: object) -> None:
    import tempfile

    escaped = value.replace('\\', '\\\\').replace('$', '\\$') if isinstance(value, str) else value
    param = {'name': 'p', 'value': escaped}
    text = yaml.safe_dump({'launch': [{'node': {'exec': '/bin/true', 'param': [param]}}]})
    with tempfile.TemporaryDirectory() as folder:
        (process,) = carry_out(Path(folder), text)
        (file,) = parameters(process)
    result = file['/**']['ros__parameters']['p']  # type: ignore[index]
    assert (type(result), result) == (type(value), value)


def test_parameter_files(prefix: Path) -> None:
    (prefix / 'p.yaml').write_text('/**:\n  ros__parameters:\n    x: $(var one)\n')
    specs = carry_out(
        prefix,
        """
launch:
- let: {name: one, value: '1'}
- node:
    pkg: demo
    exec: run_me
    param:
    - from: $(dirname)/p.yaml
    - {from: $(dirname)/p.yaml, allow_substs: true}
    - from: $(dirname)/missing.yaml
""",
    )
    values = [file['/**'] for file in parameters(specs[0])]
    assert values == [{'ros__parameters': {'x': '$(var one)'}}, {'ros__parameters': {'x': 1}}]


def test_scopes(prefix: Path) -> None:
    (prefix / 'inner.launch.yaml').write_text(
        'launch:\n- arg: {name: x, default: inner}\n- executable: {cmd: echo $(var x) $(dirname)}\n'
    )
    specs = carry_out(
        prefix,
        """
launch:
- let: {name: x, value: outer}
- group:
  - push_ros_namespace: {namespace: bob}
  - push-ros-namespace: {namespace: arm}
  - let: {name: x, value: group}
  - set_env: {name: SCOPED, value: '1'}
  - node: {pkg: demo, exec: run_me, name: n}
  - node: {pkg: demo, exec: run_me, namespace: /absolute}
- executable: {cmd: echo $(var x)}
- group:
    scoped: false
    children:
    - let: {name: x, value: leaked}
- executable: {cmd: echo $(var x), env: [{name: MORE, value: $(var x)}]}
- include:
    file: $(dirname)/inner.launch.yaml
    arg: [{name: x, value: given}]
- executable: {cmd: echo $(var x)}
- node: {pkg: demo, exec: run_me}
""",
    )
    commands = [list(spec.command) for spec in specs]
    assert commands[0][-4:] == ['-r', '__node:=n', '-r', '__ns:=/bob/arm']
    assert commands[1][-2:] == ['-r', '__ns:=/absolute']
    assert [command[1:] for command in commands[2:6]] == [
        ['outer'],
        ['leaked'],
        ['given', str(prefix)],
        ['given'],
    ]
    assert commands[6] == [f'{prefix}/lib/demo/run_me', '--ros-args']
    assert specs[0].environment['SCOPED'] == '1'
    assert 'SCOPED' not in specs[2].environment
    assert specs[3].environment['MORE'] == 'leaked'
    assert [spec.name for spec in specs[:3]] == ['run_me-1', 'run_me-2', 'echo-3']


def test_conditions(prefix: Path) -> None:
    specs = carry_out(
        prefix,
        """
launch:
- arg: {name: flag, default: 'true'}
- executable: {cmd: echo a, if: $(var flag)}
- executable: {cmd: echo b, unless: $(var flag)}
- group:
    if: $(not $(var flag))
    children:
    - executable: {cmd: echo c}
""",
        flag='1',
    )
    assert [spec.command for spec in specs] == [('echo', 'a')]


@pytest.mark.parametrize(
    ('source', 'words'),
    [
        ('a b', ['a', 'b']),
        ('$(var two)', ['x y']),
        ('--k=$(var two) z', ['--k=x y', 'z']),
        ('$(var none) end', ['', 'end']),
        ('"q r" s', ['q r', 's']),
        ('  a   b ', ['a', 'b']),
        ('$(var two) $(var two)', ['x y', 'x y']),
    ],
)
def test_words(prefix: Path, source: str, words: list[str]) -> None:
    variables = [{'let': {'name': n, 'value': v}} for n, v in (('two', 'x y'), ('none', ''))]
    tree = {'launch': [*variables, {'executable': {'cmd': f'run {source}'}}]}
    (process,) = carry_out(prefix, yaml.safe_dump(tree))
    assert list(process.command) == ['run', *words]


MISTAKES = [
    ('launch: [', 1, 'not valid YAML'),
    ('start: []', 1, "expected one root key 'launch'"),
    ('launch: 5', 1, "'launch' needs a list of entities"),
    ('launch:\n- {arg: {name: a}, let: {}}', 2, 'a mapping with one key'),
    ('launch:\n\n- timer: {period: 1.0}', 3, "'timer' is not in the standalone subset"),
    ('launch:\n- node:\n    exec: x\n    prefix: gdb', 4, "'node' has no key 'prefix'"),
    ('launch:\n- node: {pkg: demo}', 2, "'node' needs the key 'exec'"),
    ('launch:\n- node: run', 2, "'node' must be a mapping"),
    ('launch:\n- arg: {name: d0, default: 0.2}', 2, "quote it: default: '0.2'"),
    ('launch:\n- executable: {cmd: x, respawn: true}', 2, "quote it: respawn: 'true'"),
    ('launch:\n- executable: {cmd: x, respawn_delay: 2}', 2, 'must be a float such as 2.0'),
    ('launch:\n- executable: {cmd: x, if: "1", unless: "0"}', 2, 'cannot be used together'),
    ('launch:\n- executable:\n    cmd: x\n    output: $(var', 4, "'output' of 'executable'"),
    ('launch:\n- executable: {cmd: x, output: pipe}', 2, "'output' is 'pipe'"),
    ('launch:\n- executable: {cmd: x, on_exit: restart}', 2, "'on_exit' can only be 'shutdown'"),
    ('launch:\n- executable: {cmd: x, if: maybe}', 2, "condition 'maybe' is 'maybe'"),
    ('launch:\n- executable: {cmd: "\'a $(dirname)\'"}', 2, 'a quote is not closed'),
    ('launch:\n- executable: {cmd: "$(var x)"}', 2, "launch configuration 'x' does not exist"),
    ('launch:\n- arg: {name: x}', 2, "required launch argument 'x' was not given; add x:=..."),
    ('launch:\n- arg: {name: x, choice: v}', 2, "'choice' of 'arg' must be a list of mappings"),
    ('launch:\n- arg: {name: m, default: c, choice: [{value: a}]}', 2, 'none of its choices: a'),
    ('launch:\n- push_ros_namespace: {namespace: a b}', 2, "'/a b' is no namespace"),
    ('launch:\n- node: ' + NODE % 'name: a-b', 2, "'a-b' is no node name"),
    ('launch:\n- node: {pkg: demo, exec: nope}', 2, "package 'demo' has no executable 'nope'"),
    ('launch:\n- node: {pkg: nope, exec: nope}', 2, "package 'nope' not found, searching"),
    ('launch:\n- include: {file: nope.yaml}', 2, "launch file 'nope.yaml' does not exist"),
    ('launch:\n- node: ' + NODE % 'param: [{value: 1}]', 2, "needs either 'name' or 'from'"),
    ('launch:\n- node: ' + NODE % 'param: [{name: a}]', 2, "either 'value' or nested 'param'"),
    ('launch:\n- node: ' + NODE % 'param: [{name: a, value: [1, a, true]}]', 2, 'of one type'),
    ('launch:\n- node: ' + NODE % 'param: [{name: a, value: {b: 1}}]', 2, 'must be a scalar'),
    ('launch:\n- node: ' + NODE % 'param: [{name: a, value: 1, type: float}]', 2, "type 'float'"),
    ('launch:\n- node: ' + NODE % 'param: [{name: a, value: 1, type: x}]', 2, 'no parameter type'),
    ('launch:\n- node: ' + NODE % 'sigterm_timeout: -1.0', 2, 'not negative'),
]


@pytest.mark.parametrize(('text', 'line', 'message'), MISTAKES)
def test_mistakes_name_file_line_and_remedy(
    prefix: Path, text: str, line: int, message: str
) -> None:
    with pytest.raises(LaunchFileError) as error:
        carry_out(prefix, text)
    assert str(error.value).startswith(f'{prefix}/test.launch.yaml:{line}: ')
    assert message in str(error.value)
