# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Package metadata; colcon and pip read the same file."""

from glob import glob

from setuptools import find_packages, setup

NAME = 'loop_ros'
REPORT = [f'cli/report/*.{kind}' for kind in ('html', 'css', 'js', 'yaml')]
PANEL = ['panel/*.css']
TEMPLATES = ['cli/templates/*.j2']
CHECKPOINTS = [f'checkpoints/**/*.{kind}' for kind in ('safetensors', 'json', 'csv', 'png')]

setup(
    name=NAME,
    version='0.2.0',
    description='Safe model-based reinforcement learning (LOOP, safeLOOP) for ROS 2 robots',
    author='The loop_ros authors',
    maintainer='The loop_ros authors',
    maintainer_email='maintainers@loop-ros.invalid',
    license='Apache-2.0',
    python_requires='>=3.11',
    # loop_ros/sim, bench, config and studies are links to the folders of these names: they install
    # with it.
    packages=find_packages(include=[NAME, f'{NAME}.*']),
    package_data={
        NAME: [
            'py.typed',
            'config/*.yaml',
            'studies/*.yaml',
            *CHECKPOINTS,
            *REPORT,
            *TEMPLATES,
            *PANEL,
        ]
    },
    data_files=[
        ('share/ament_index/resource_index/packages', [f'resource/{NAME}']),
        ('bin', ['resource/loop-ros']),
        (f'share/{NAME}', ['package.xml']),
        (f'share/{NAME}/launch', sorted(glob('launch/*.launch.*'))),
        (f'share/{NAME}/config', sorted(glob('config/*.yaml'))),
        (f'share/{NAME}/config/network', sorted(glob('config/network/*.xml'))),
        (f'share/{NAME}/config/security', sorted(glob('config/security/*.xml'))),
        (f'share/{NAME}/config/view', sorted(glob('config/view/*'))),
    ],
    install_requires=[
        'gymnasium>=1.0',
        'Jinja2',
        'matplotlib',
        'mcap',
        'numpy>=1.26,<2',
        'pillow',
        'plotly',
        'PyYAML',
        'rich',
        'rosbags',
        'safetensors',
        'setuptools',
        'tensorboardX',
        'torch>=2.4',
    ],
    # Every task but the drift car. PointGoal1 and CarGoal1 need safety-gymnasium as well, whose own
    # requirements exclude these: see Installation in CONTRIBUTING.md.
    extras_require={
        'sim': [
            'gymnasium-robotics>=1.4',
            'imageio',
            'imageio-ffmpeg',
            'mujoco>=3.3',
            'pygame',
            'xmltodict',
        ],
        # The panel in the browser (panel:=true).
        'panel': ['fastapi', 'nicegui>=3.0', 'uvicorn'],
        # A study on many machines (loop-ros study --ray).
        'ray': ['ray>=2.49'],
        # The pages as a site (make docs).
        'docs': ['furo', 'latex2mathml', 'myst-parser', 'sphinx>=8'],
        # What the packages in examples/ drive that no task here does.
        'examples': ['ir-sim>=2.12'],
        # `colcon test` runs pytest where it finds it here.
        'test': ['h5py', 'hypothesis', 'pytest', 'pytest-timeout', 'scipy'],
    },
    zip_safe=False,
    entry_points={
        'console_scripts': [
            'loop-ros = loop_ros.cli.main:main',
            'planner_node = loop_ros.nodes.planner_node:main',
            'fleet_planner_node = loop_ros.nodes.fleet_planner_node:main',
            'learner_node = loop_ros.nodes.learner_node:main',
            'bridge_node = loop_ros.nodes.bridge_node:main',
            'robot_node = loop_ros.nodes.robot_node:main',
            'panel_node = loop_ros.nodes.panel_node:main',
        ],
    },
)
