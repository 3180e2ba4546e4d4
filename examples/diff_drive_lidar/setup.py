# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Package metadata; colcon and pip read the same file."""

from glob import glob

from setuptools import setup

NAME = 'diff_drive_lidar'

setup(
    name=NAME,
    version='0.0.1',
    description='A differential drive with a lidar, simulated by ir-sim',
    maintainer='The loop_ros authors',
    maintainer_email='maintainers@loop-ros.invalid',
    license='Apache-2.0',
    packages=[NAME],
    # The package's config is a link to config: the profile lies beside the task, also installed.
    package_data={NAME: ['config/*.yaml']},
    data_files=[
        ('share/ament_index/resource_index/packages', [f'resource/{NAME}']),
        (f'share/{NAME}', ['package.xml']),
        (f'share/{NAME}/config', sorted(glob('config/*.yaml'))),
        (f'share/{NAME}/launch', sorted(glob('launch/*.launch.*'))),
    ],
    install_requires=['ir-sim>=2.12', 'loop_ros', 'setuptools', 'shapely'],
    extras_require={'test': ['pytest']},
    zip_safe=False,
    # loop_ros finds the task by this; the name is that of the task.
    entry_points={'loop_ros.tasks': [f'{NAME} = {NAME}.task:TASK']},
)
