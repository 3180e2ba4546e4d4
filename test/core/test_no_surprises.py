# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Nothing that is read is ever run: no shell, no eval, no pickle, in any file that is shipped."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from source_tree import sources

from loop_ros import plain_yaml
from ros2_standalone import launch_file
from ros2_standalone.errors import LaunchFileError

SHIPPED = ('loop_ros/*.py', 'sim/*.py', 'bench/*.py', 'launch/*.py', 'standalone/*.py', 'setup.py')
MODULES = {'pickle', 'cPickle', 'dill', 'cloudpickle', 'joblib', 'marshal', 'shelve', 'code'}
CALLS = {'eval', 'exec', 'compile', '__import__', 'breakpoint', 'os.system', 'os.popen'} | {
    f'{module}.{name}'
    for module, names in {
        'subprocess': ('getoutput', 'getstatusoutput'),
        'yaml': ('unsafe_load', 'full_load', 'unsafe_load_all', 'full_load_all'),
        'pandas': ('read_pickle',),
        'pd': ('read_pickle',),
        'torch.hub': ('load',),
    }.items()
    for name in names
}
ALWAYS = {'torch.load': ('weights_only', True)}  # must be said
NEVER = {'shell': True, 'allow_pickle': True}  # must not


def findings(code: str) -> Iterator[str]:
    """What is wrong in a file, with its line."""
    for node in ast.walk(ast.parse(code)):
        if isinstance(node, ast.Import):
            modules = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            modules = [node.module or '']
        else:
            modules = []
        for module in modules:
            if module.split('.')[0] in MODULES:
                yield f'{node.lineno}: imports {module}'
        if isinstance(node, ast.Call):
            yield from (f'{node.lineno}: {what}' for what in _call(node))


def _call(node: ast.Call) -> Iterator[str]:
    name = ast.unparse(node.func)
    given = {k.arg: ast.unparse(k.value) for k in node.keywords}
    if name in CALLS or name.endswith('.__reduce__'):
        yield f'calls {name}'
    for keyword, value in NEVER.items():
        if keyword in given and given[keyword] != str(not value):
            yield f'{name}({keyword}={given[keyword]})'
    if name in ALWAYS and given.get(ALWAYS[name][0]) != str(ALWAYS[name][1]):
        yield f'{name} without {ALWAYS[name][0]}'
    if name in ('yaml.load', 'yaml.load_all'):
        loader = given.get('Loader') or (ast.unparse(node.args[1]) if len(node.args) > 1 else '')
        if loader not in SAFE_LOADERS:
            yield f'{name} with {loader or "no loader"}'


SAFE_LOADERS = {
    'yaml.SafeLoader',
    'loader',  # of plain_yaml.py: CSafeLoader or SafeLoader
    '_Loader',  # of launch_file.py: a SafeLoader
}


@pytest.mark.parametrize('path', sources(*SHIPPED), ids=lambda path: path.name)
def test_nothing_that_is_read_is_run(path: Path) -> None:
    assert not list(findings(path.read_text(encoding='utf-8')))


@pytest.mark.parametrize(
    'code',
    [
        'import pickle',
        'from pickle import loads',
        'import joblib.numpy_pickle',
        'eval(text)',
        'exec(text)',
        'os.system(text)',
        'subprocess.run(text, shell=True)',
        'subprocess.Popen(text, shell=choice)',
        'torch.load(path)',
        'torch.load(path, weights_only=False)',
        'numpy.load(path, allow_pickle=True)',
        'yaml.load(text)',
        'yaml.load(text, yaml.Loader)',
        'yaml.load(text, Loader=yaml.UnsafeLoader)',
        'yaml.full_load(text)',
    ],
)
def test_the_harmful_is_found(code: str) -> None:
    assert list(findings(code))


@pytest.mark.parametrize(
    'code',
    [
        'model.eval()',
        're.compile(text)',
        'subprocess.run(words, shell=False)',
        'torch.load(path, weights_only=True)',
        'yaml.load(text, yaml.SafeLoader)',
        'yaml.safe_load(text)',
    ],
)
def test_the_harmless_is_not_found(code: str) -> None:
    assert not list(findings(code))


def load_plain(file: Path) -> Any:
    return plain_yaml.load(file.read_text())


def load_without_libyaml(file: Path) -> Any:
    with pytest.MonkeyPatch.context() as patch:
        patch.delattr(yaml, 'CSafeLoader', raising=False)
        return load_plain(file)


@pytest.mark.parametrize('load', [load_plain, load_without_libyaml, launch_file.load])
def test_yaml_makes_no_objects(load: Callable[[Path], Any], tmp_path: Path) -> None:
    """The loaders with names of their own are safe too."""
    file = tmp_path / 'file.yaml'
    file.write_text(f'launch: !!python/object/apply:os.mkdir [{tmp_path}/made]')
    with pytest.raises((ValueError, LaunchFileError), match='python/object/apply'):
        load(file)
    assert not (tmp_path / 'made').exists()
