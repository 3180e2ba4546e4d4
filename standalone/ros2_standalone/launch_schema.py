# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Which entities and keys of ROS 2's YAML launch format the subset knows."""

from dataclasses import dataclass, field
from enum import Enum


class Kind(Enum):
    """What a key's value must be in YAML; the value is how the kind is named in messages.

    TEMPLATE may hold substitutions; TEXT may not.
    """

    TEXT = 'text'
    TEMPLATE = 'text, with substitutions or without'
    FLOAT = 'a float such as 2.0, not negative'
    INTEGER = 'an integer'
    BOOLEAN = 'true or false'
    VALUE = 'a scalar or a list of scalars of one type'
    FLAG = 'true, false or text'


@dataclass(frozen=True)
class Schema:
    """The keys of an entity: required and optional ones, and lists of entities of their own."""

    required: dict[str, Kind] = field(default_factory=dict)
    optional: dict[str, Kind] = field(default_factory=dict)
    nested: dict[str, 'Schema'] = field(default_factory=dict)
    has_children: bool = False

    def keys(self) -> list[str]:
        """Every key that the entity may have."""
        children = ['children'] if self.has_children else []
        return sorted([*self.required, *self.optional, *self.nested, *children])


T = Kind.TEMPLATE
CONDITIONS = {'if': T, 'unless': T}
NAME_AND_VALUE = Schema(required={'name': T, 'value': T})
PARAMETER = Schema(
    optional={
        'name': T,
        'value': Kind.VALUE,
        'type': Kind.TEXT,
        'from': T,
        'allow_substs': Kind.FLAG,
    }
)
PARAMETER.nested['param'] = PARAMETER
PROCESS = {
    **CONDITIONS,
    'name': T,
    'cwd': T,
    'output': T,
    'on_exit': Kind.TEXT,
    'respawn': T,
    'respawn_delay': Kind.FLOAT,
    'respawn_max_retries': Kind.INTEGER,
    'sigterm_timeout': Kind.FLOAT,
    'sigkill_timeout': Kind.FLOAT,
}
_PUSH_NAMESPACE = Schema(required={'namespace': T}, optional=CONDITIONS)

ENTITIES = {
    'arg': Schema(
        required={'name': Kind.TEXT},
        optional={**CONDITIONS, 'default': T, 'description': Kind.TEXT},
        nested={'choice': Schema(required={'value': Kind.TEXT})},
    ),
    'let': Schema(required={'name': T, 'value': T}, optional=CONDITIONS),
    'set_env': Schema(required={'name': T, 'value': T}, optional=CONDITIONS),
    'push_ros_namespace': _PUSH_NAMESPACE,
    'push-ros-namespace': _PUSH_NAMESPACE,
    'include': Schema(required={'file': T}, optional=CONDITIONS, nested={'arg': NAME_AND_VALUE}),
    'group': Schema(optional={**CONDITIONS, 'scoped': Kind.BOOLEAN}, has_children=True),
    'executable': Schema(required={'cmd': T}, optional=PROCESS, nested={'env': NAME_AND_VALUE}),
    'node': Schema(
        required={'exec': T},
        optional={
            **PROCESS,
            'pkg': T,
            'namespace': T,
            'exec_name': T,
            'args': T,
            'ros_args': T,
        },
        nested={
            'env': NAME_AND_VALUE,
            'param': PARAMETER,
            'remap': Schema(required={'from': T, 'to': T}),
        },
    ),
}
