# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
"""All settings together; profiles are read here alone."""

from __future__ import annotations

import dataclasses
import warnings
from dataclasses import dataclass, field
from typing import Any, Protocol, Self, cast

from loop_ros import plain_yaml
from loop_ros.profiles import profile_path
from loop_ros.settings.learning import (
    CrrSettings,
    EnsembleSettings,
    LearningSettings,
    MbopSettings,
    ModelRolloutSettings,
    OffPolicySettings,
    PlasSettings,
    SacSettings,
)
from loop_ros.settings.migration import MOVED, migrated
from loop_ros.settings.planner import PlannerSettings


class TaskDefaults(Protocol):
    """What a task says of its settings."""

    @property
    def profile(self) -> str:
        """Name of a shipped profile, or path of a YAML file."""

    @property
    def default_d0(self) -> float:
        """The safety threshold where nobody sets one."""

    @property
    def cost(self) -> Any:
        """The known cost of states; None where it has to be learned."""


@dataclass(frozen=True)
class Settings:
    """All of it."""

    planner: PlannerSettings = field(default_factory=PlannerSettings)
    ensemble: EnsembleSettings = field(default_factory=EnsembleSettings)
    off_policy: OffPolicySettings = field(default_factory=OffPolicySettings)
    model_rollouts: ModelRolloutSettings = field(default_factory=ModelRolloutSettings)
    sac: SacSettings = field(default_factory=SacSettings)
    crr: CrrSettings = field(default_factory=CrrSettings)
    plas: PlasSettings = field(default_factory=PlasSettings)
    mbop: MbopSettings = field(default_factory=MbopSettings)
    learning: LearningSettings = field(default_factory=LearningSettings)

    def __post_init__(self) -> None:
        """ValueError where settings that are fine alone cannot be had together."""
        algorithm, from_buffer = self.learning.algorithm, self.sac.bootstrap == 'buffer'
        expands = self.model_rollouts.expansion_horizon > 1 or self.sac.reward_steps > 1
        if algorithm != 'sac' and (from_buffer or expands):
            raise ValueError(
                f'learning.algorithm {algorithm} has a target of its own: set sac.bootstrap to '
                'actor, sac.reward_steps and model_rollouts.expansion_horizon to 1'
            )
        if from_buffer and (self.model_rollouts.fraction > 0 or expands):
            raise ValueError(
                'sac.bootstrap buffer knows only the next action of stored transitions: set '
                'model_rollouts.fraction to 0, sac.reward_steps and '
                'model_rollouts.expansion_horizon to 1'
            )
        if algorithm != 'sac' and self.off_policy.batch_norm:
            raise ValueError(
                f'off_policy.batch_norm is for sac, not for {algorithm}: set it to false'
            )
        if algorithm == 'polo' and self.planner.algorithm == 'actor':
            raise ValueError('learning.algorithm polo has no actor: set planner.algorithm to cem')

    @classmethod
    def from_dict(cls, values: dict[str, Any], source: str = 'settings') -> Self:
        """Sections of values; ValueError names an unknown section, setting or a bad value."""
        sections = {item.name: item.default_factory for item in dataclasses.fields(cls)}
        built: dict[str, Any] = {}
        if not isinstance(values, dict):
            raise ValueError(f'{source}: not a mapping of sections')
        for name, entries in migrated(values, source).items():
            if name not in sections:
                raise ValueError(f"{source}: unknown section '{name}'; use {', '.join(sections)}")
            if not isinstance(entries or {}, dict):
                raise ValueError(f"{source}: section '{name}' is not a mapping of settings")
            section = cast(Any, sections[name])
            known = {item.name for item in dataclasses.fields(section)}
            for entry in entries or {}:
                if entry not in known:
                    raise ValueError(f"{source}: unknown setting '{name}.{entry}'")
            try:
                built[name] = section(**(entries or {}))
            except ValueError as error:
                raise ValueError(f'{source}: {name}.{error}') from None
        return cls(**built)

    @classmethod
    def load(cls, profile: str, defaults: dict[str, Any] | None = None) -> Self:
        """A shipped profile by name, or a YAML file by path; ValueError where it is not usable.

        `defaults` hold where the profile says nothing, by names as {'planner.d0': 0.5}.
        """
        path = profile_path(profile)
        try:
            values = plain_yaml.load(path.read_text(encoding='utf-8'))
        except ValueError as error:
            raise ValueError(f'{path}: {error}') from None
        settings = cls.from_dict(values or {}, str(path))
        given = {
            f'{section}.{name}'
            for section, entries in (values or {}).items()
            for name in entries or {}
        }
        missing = {name: value for name, value in (defaults or {}).items() if name not in given}
        return settings.replace(missing) if missing else settings

    @classmethod
    def for_task(cls, task: TaskDefaults, profile: str | None = None) -> Self:
        """The settings of a task under a profile, by default its own; errors as in `load`.

        Where the profile says nothing of them, the task's threshold d0 holds, and a cost that is
        not known is learned by a classifier.
        """
        defaults: dict[str, Any] = {'planner.d0': task.default_d0}
        if task.cost is None:
            defaults['ensemble.cost_head'] = 'classifier'
        return cls.load(profile or task.profile, defaults)

    def trained_by(self, saved: Settings) -> Self:
        """A copy with the networks of `saved` and the algorithm that trained them."""
        learning = dataclasses.replace(self.learning, algorithm=saved.learning.algorithm)
        networks = {
            name: getattr(saved, name)
            for name in (
                'ensemble',
                'off_policy',
                'model_rollouts',
                'sac',
                'crr',
                'plas',
                'mbop',
            )  # fmt: skip
        }
        return dataclasses.replace(self, **networks, learning=learning)

    def trained_otherwise(self, saved: Settings) -> str:
        """What `saved` was trained with that these settings say otherwise; empty: nothing."""
        asked, kept = self.to_dict(), self.trained_by(saved).to_dict()
        return ', '.join(
            f'{section}.{name} {kept[section][name]} (not {value})'
            for section, values in asked.items()
            for name, value in values.items()
            if kept[section][name] != value
        )

    def to_dict(self) -> dict[str, Any]:
        """Sections of plain values, as YAML and JSON hold them."""
        return dataclasses.asdict(self)

    def replace(self, overrides: dict[str, Any]) -> Self:
        """A copy with {'planner.d0': 0.5, ...} applied and checked."""
        values = self.to_dict()
        for name, value in overrides.items():
            section, _, entry = MOVED.get(name, name).partition('.')
            if name in MOVED:
                warnings.warn(f'{name} is {section}.{entry} now', FutureWarning, stacklevel=2)
            values.setdefault(section, {})[entry] = value
        return self.from_dict(values)
