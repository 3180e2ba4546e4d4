# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Where profiles are: the shipped ones by name, others by path."""

from __future__ import annotations

from pathlib import Path

_PROFILES = Path(__file__).resolve().parent / 'config'


def profile_path(profile: str) -> Path:
    """Where a profile is: a path to a YAML file, or a name among the shipped ones."""
    if profile.endswith(('.yaml', '.yml')):
        path = Path(profile).expanduser()
        if path.is_file():
            return path
        raise ValueError(f'profile {path}: no such file')
    if profile in profile_names():
        return _PROFILES / f'{profile}.yaml'
    shipped = ', '.join(profile_names())
    raise ValueError(f"unknown profile '{profile}'; use {shipped} or the path of a YAML file")


def profile_names() -> list[str]:
    """The shipped profiles; `*_params.yaml` beside them are parameter files of ROS nodes."""
    names = {found.stem for found in _PROFILES.glob('*.yaml')}
    return sorted(name for name in names if not name.endswith('_params'))
