# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Makes the task known by its name."""

from setuptools import setup

setup(
    name='f1tenth',
    version='0.1.0',
    license='Apache-2.0',
    packages=['f1tenth'],
    package_data={'f1tenth': ['profile.yaml']},
    install_requires=['loop_ros'],
    entry_points={'loop_ros.tasks': ['f1tenth = f1tenth.task:TASK']},
)
