# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The package's metadata agrees with itself and with the code."""

from __future__ import annotations

import ast
import sys
from distutils.core import run_setup
from importlib.metadata import requires
from pathlib import Path
from typing import Any

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from setuptools import Distribution
from source_tree import TREE, imports, sources

# Module -> (key in package.xml, name on the Python index) where they differ from the module's name.
PYTHON_DEPENDENCIES = {
    'PIL': ('python3-pil', 'pillow'),
    'fastapi': (None, 'fastapi'),  # of the panel; no rosdep key for these three
    'gymnasium': ('python3-gymnasium-pip', 'gymnasium'),
    'gymnasium_robotics': ('python3-gymnasium-robotics-pip', 'gymnasium-robotics'),
    'jinja2': ('python3-jinja2', 'Jinja2'),
    'lz4': ('python3-rosbags-pip', 'rosbags'),  # comes with it
    'markupsafe': ('python3-jinja2', 'Jinja2'),  # comes with it
    'matplotlib': ('python3-matplotlib', 'matplotlib'),
    'mujoco': ('python3-mujoco-pip', 'mujoco'),
    'nicegui': (None, 'nicegui'),
    'numpy': ('python3-numpy', 'numpy'),
    'plotly': (None, 'plotly'),  # no rosdep key
    'ray': (None, 'ray'),
    'rich': ('python3-rich', 'rich'),
    'rosbags': ('python3-rosbags-pip', 'rosbags'),
    'safetensors': (None, 'safetensors'),  # no rosdep key
    'tensorboardX': ('python3-tensorboardX-pip', 'tensorboardX'),
    'torch': ('python3-pytorch-pip', 'torch'),
    'uvicorn': (None, 'uvicorn'),
    'yaml': ('python3-yaml', 'PyYAML'),
    'zstandard': (None, 'mcap'),  # comes with it
}
ROS_DEPENDENCIES = {'rclpy', 'launch', 'launch_ros'}
# Imported where they are installed, done without where they are not.
OPTIONAL = {
    'ackermann_msgs', 'ament_index_python', 'builtin_interfaces', 'mcap',
    'scipy', 'stable_baselines3',  # peers of the benchmarks
    'triton',  # comes with torch for CUDA
    'h5py',  # for files of D4RL and Minari that a user has; the tests have it
    'omnisafe',  # in an environment of its own
}  # fmt: skip


def distributions(path: Path) -> set[str]:
    """Return the top-level modules that a file imports from other distributions."""
    found = {name.partition('.')[0] for name in imports(path)}
    return found - set(sys.stdlib_module_names) - {'loop_ros'}


@pytest.fixture(scope='module')
def package() -> Any:
    catkin_package = pytest.importorskip('catkin_pkg.package')
    return catkin_package.parse_package(str(TREE / 'package.xml'))


@pytest.fixture
def distribution(monkeypatch: pytest.MonkeyPatch) -> Distribution:
    monkeypatch.chdir(TREE)
    return run_setup('setup.py', stop_after='init')


def pins(name: str) -> dict[str, str]:
    """Read a requirements file: name -> version."""
    lines = (TREE / 'requirements' / name).read_text().lower().splitlines()
    found = [line.partition('#')[0].strip() for line in lines]
    return dict(line.split('==') for line in found if line)


def test_package_xml_is_valid(package) -> None:
    package.validate()
    assert package.package_format == 3
    assert package.get_build_type() == 'ament_python'
    assert (TREE / package.licenses[0].file).is_file()


def test_version_and_name_agree(package, distribution) -> None:
    citation = yaml.safe_load((TREE / 'CITATION.cff').read_text(encoding='utf-8'))
    assert citation['version'] == package.version
    import loop_ros

    assert package.name == distribution.get_name() == 'loop_ros'
    assert package.version == distribution.get_version() == loop_ros.__version__
    assert package.description.split()[0] == distribution.get_description().split()[0]
    assert package.licenses[0] == distribution.get_license()


def test_changelog_reads_as_ros_wants_it(package) -> None:
    from catkin_pkg.changelog import get_changelog_from_path

    changelog = get_changelog_from_path(str(TREE), package.name)
    versions = {version for version, _, _ in changelog.foreach_version()} - {'Forthcoming'}
    assert max(versions, key=lambda v: tuple(map(int, v.split('.')))) == package.version


def test_every_import_is_declared(package, distribution) -> None:
    declared = {dependency.name for dependency in package.build_depends + package.exec_depends}
    extras = distribution.extras_require
    lines = distribution.install_requires + extras['sim'] + extras['panel'] + extras['ray']
    required = {Requirement(line).name for line in lines}
    for path in sources('loop_ros/*.py', 'sim/*.py', 'bench/*.py', 'launch/*.py'):
        for module in distributions(path) - OPTIONAL:
            where = f'{path.relative_to(TREE)} imports {module}'
            if module in PYTHON_DEPENDENCIES:
                key, name = PYTHON_DEPENDENCIES[module]
                assert key is None or key in declared, f'{where}: {key} is not in package.xml'
                assert name in required, f'{where}: {name} is not in setup.py'
            else:
                known = module in ROS_DEPENDENCIES or module.endswith(
                    ('_msgs', '_srvs', '_interfaces')
                )
                assert known, f'{where}: add it to setup.py, package.xml and this test'
                assert module in declared, f'{where}: it is not in package.xml'


def test_what_tests_need_is_declared(package: Any, distribution: Distribution) -> None:
    declared = {dependency.name for dependency in package.test_depends}
    for name in distribution.extras_require['test']:
        assert f'python3-{name}' in declared, f'python3-{name} is not in package.xml'


def test_requirements_are_pinned_and_meet_setup_py(distribution) -> None:
    base, sim, dev = pins('base.txt'), pins('sim.txt'), pins('dev.txt')
    examples, panel, ray = pins('examples.txt'), pins('panel.txt'), pins('ray.txt')
    docs = pins('docs.txt')
    for pinned, lines in (
        (base, distribution.install_requires),
        (sim, distribution.extras_require['sim']),
        (dev, distribution.extras_require['test']),
        (examples, distribution.extras_require['examples']),
        (panel, distribution.extras_require['panel']),
        (ray, distribution.extras_require['ray']),
        (docs, distribution.extras_require['docs']),
    ):
        for line in lines:
            requirement = Requirement(line)
            assert pinned[requirement.name.lower()] in requirement.specifier, line
    assert int(base['setuptools'].split('.')[0]) < 80  # colcon build --symlink-install
    files = [base, sim, dev, examples, panel, ray, docs, pins('no_deps.txt'), pins('ros.txt')]
    assert all(files)
    assert len(set().union(*files)) == sum(len(file) for file in files), 'pinned twice'


IN_TURN = ('base.txt', 'sim.txt', 'panel.txt', 'ray.txt', 'docs.txt')


@pytest.mark.parametrize('name', IN_TURN)
def test_what_requirements_need_in_turn_is_pinned_too(name: str) -> None:
    pinned = {canonicalize_name(key) for file in IN_TURN for key in pins(file)}
    for key in pins(name).keys() - {'torch'}:  # its CUDA packages come with its wheel
        for line in requires(key) or ():
            requirement = Requirement(line)
            if requirement.marker is None or requirement.marker.evaluate({'extra': ''}):
                assert canonicalize_name(requirement.name) in pinned, f'{key} needs {line}'


def test_entry_points_exist(distribution) -> None:
    scripts = dict(line.split(' = ') for line in distribution.entry_points['console_scripts'])
    nodes = ('planner', 'fleet_planner', 'learner', 'bridge', 'robot', 'panel')
    assert set(scripts) == {'loop-ros', *(f'{name}_node' for name in nodes)}
    for script, target in scripts.items():
        module, function = target.split(':')
        path = TREE / (module.replace('.', '/') + '.py')
        tree = ast.parse(path.read_text(encoding='utf-8'))
        names = {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}
        assert function in names, f'{script}: {path.relative_to(TREE)} has no {function}()'


def test_data_files_are_installed(distribution) -> None:
    installed = dict(distribution.data_files)
    assert installed['share/ament_index/resource_index/packages'] == ['resource/loop_ros']
    assert 'launch/drift_car.launch.py' in installed['share/loop_ros/launch']
    assert 'launch/drift_car.launch.yaml' in installed['share/loop_ros/launch']
    assert 'config/drift_car.yaml' in installed['share/loop_ros/config']
    policy = 'config/security/loop_ros.policy.xml'
    assert policy in installed['share/loop_ros/config/security']
    listed = {file for files in installed.values() for file in files}
    for path in sources('launch/*', 'config/*'):
        assert str(path.relative_to(TREE)) in listed, f'{path.name} would not be installed'


def test_every_folder_of_code_is_a_package(distribution) -> None:
    packages = set(distribution.packages)
    for path in sources('loop_ros/*.py'):
        name = '.'.join(path.relative_to(TREE).parent.parts)
        assert name in packages, f'{path.relative_to(TREE)}: its folder has no __init__.py'
    assert {'loop_ros.sim', 'loop_ros.bench'} <= packages


def test_links_are_relative() -> None:
    for name in ('sim', 'bench', 'config', 'studies'):
        link = TREE / 'loop_ros' / name
        assert link.is_symlink()
        assert str(link.readlink()) == f'../{name}'


@pytest.mark.parametrize('path', sources('*.py', '*.sh', 'Makefile'), ids=lambda path: path.name)
def test_copyright(path: Path) -> None:
    head = path.read_text(encoding='utf-8').splitlines()[:3]
    if head and head[0].startswith('#!'):
        head = head[1:]
    assert head[:2] == [
        '# Copyright 2026 The loop_ros authors',
        '# SPDX-License-Identifier: Apache-2.0',
    ]
