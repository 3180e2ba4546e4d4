# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What each `$(name ...)` stands for, and how it is shown by `--show-args`."""

import math
from collections.abc import Callable
from dataclasses import dataclass

import yaml

from ros2_standalone.context import Context
from ros2_standalone.errors import Ros2Error, SubstitutionError
from ros2_standalone.expression import evaluate
from ros2_standalone.packages import package_prefix, package_share
from ros2_standalone.template import Call, Template, Text, parse_template

_TRUE = ('true', '1')
_FALSE = ('false', '0')


def perform(template: Template, context: Context) -> str:
    """Return the text a template stands for.

    :raises SubstitutionError: an unknown or failing substitution.
    """
    return ''.join(
        part.text if isinstance(part, Text) else _perform_call(part, context) for part in template
    )


def resolve(source: str, context: Context) -> str:
    """Parse source and return the text it stands for."""
    return perform(parse_template(source), context)


def is_true(condition: str, context: Context) -> bool:
    """Evaluate an `if` or `unless`: true, 1, false or 0, in any case.

    :raises SubstitutionError: anything else.
    """
    text = resolve(condition, context).strip().lower()
    if text in _TRUE:
        return True
    if text in _FALSE:
        return False
    raise SubstitutionError(f"the condition '{condition}' is '{text}'; use true, 1, false or 0")


def describe(template: Template) -> str:
    """Return a template as `ros2 launch --show-args` shows a default."""
    return ' + '.join(
        f"'{part.text}'" if isinstance(part, Text) else _describe_call(part) for part in template
    )


def check_calls(template: Template) -> None:
    """Raise SubstitutionError for an unknown name or a wrong number of arguments."""
    for part in template:
        if isinstance(part, Call):
            _substitution(part)
            for argument in part.arguments:
                check_calls(argument)


def _describe_call(call: Call) -> str:
    substitution = _SUBSTITUTIONS.get(call.name)
    shown = substitution.shown if substitution else '{name}({arguments})'
    arguments = ', '.join(describe(argument) for argument in call.arguments)
    first = describe(call.arguments[0]) if call.arguments else ''
    return shown.format(name=call.name, first=first, arguments=arguments)


def _perform_call(call: Call, context: Context) -> str:
    substitution = _substitution(call)
    try:
        return substitution.perform(
            context, *[perform(argument, context) for argument in call.arguments]
        )
    except SubstitutionError:
        raise
    except Ros2Error as error:
        raise SubstitutionError(f'$({call.name} ...): {error}') from None


def _substitution(call: Call) -> '_Substitution':
    substitution = _SUBSTITUTIONS.get(call.name)
    if substitution is None:
        raise SubstitutionError(
            f"substitution '$({call.name} ...)' is not in the standalone subset "
            f'({", ".join(sorted(_SUBSTITUTIONS))}); use one of these or a ROS 2 installation'
        )
    least, most = substitution.arguments
    if not least <= len(call.arguments) <= most:
        expected = str(least) if least == most else f'{least} to {"any" if most > 9 else most}'
        raise SubstitutionError(
            f'$({call.name} ...) takes {expected} arguments, got {len(call.arguments)} '
            '(quote an argument that contains spaces)'
        )
    return substitution


def _variable(context: Context, name: str, default: str | None = None) -> str:
    value = context.configurations.get(name, default)
    if value is None:
        raise SubstitutionError(
            f"launch configuration '{name}' does not exist; declare it with 'arg' or 'let'"
        )
    return value


def _environment(context: Context, name: str, default: str | None = None) -> str:
    value = context.environment.get(name, default)
    if value is None:
        raise SubstitutionError(
            f"environment variable '{name}' does not exist; set it or write $(env {name} DEFAULT)"
        )
    return value


def _to_bool(text: str) -> bool:
    try:
        value = text == '1' if text in ('0', '1') else yaml.safe_load(text)
    except yaml.YAMLError:
        value = None
    if not isinstance(value, bool):
        raise SubstitutionError(f"'{text}' is not a boolean")
    return value


def _from_bool(value: bool) -> str:
    return str(value).lower()


def _equal(left: str, right: str) -> bool:
    booleans = _TRUE + _FALSE
    if left.lower() in booleans and right.lower() in booleans:
        return (left.lower() in _TRUE) == (right.lower() in _TRUE)
    try:
        return math.isclose(float(left), float(right))
    except ValueError:
        return left == right


def _choose(_: Context, condition: str, value: str, otherwise: str = '') -> str:
    return value if _to_bool(condition) else otherwise


@dataclass(frozen=True, slots=True)
class _Substitution:
    """What a name does, how many arguments it takes (least, most) and how it is shown."""

    perform: Callable[..., str]
    arguments: tuple[int, int]
    shown: str = '{name}({arguments})'


_SUBSTITUTIONS = {
    'var': _Substitution(_variable, (1, 2), 'LaunchConfig({first})'),
    'env': _Substitution(_environment, (1, 2), 'EnvVar({first})'),
    'find-pkg-share': _Substitution(
        lambda _, package: str(package_share(package)), (1, 1), 'FindPackageShare(pkg={first})'
    ),
    'find-pkg-prefix': _Substitution(
        lambda _, package: str(package_prefix(package)), (1, 1), 'FindPackagePrefix(pkg={first})'
    ),
    'dirname': _Substitution(
        lambda context: str(context.file.parent), (0, 0), 'ThisLaunchFileDir()'
    ),
    'eval': _Substitution(
        lambda _, expression: evaluate(expression), (1, 1), "PythonExpr({first}, ['math'])"
    ),
    'if': _Substitution(_choose, (2, 3)),
    'not': _Substitution(lambda _, value: _from_bool(not _to_bool(value)), (1, 1)),
    'and': _Substitution(lambda _, a, b: _from_bool(_to_bool(a) and _to_bool(b)), (2, 2)),
    'or': _Substitution(lambda _, a, b: _from_bool(_to_bool(a) or _to_bool(b)), (2, 2)),
    'all': _Substitution(lambda _, *v: _from_bool(all(_to_bool(x) for x in v)), (0, 99)),
    'any': _Substitution(lambda _, *v: _from_bool(any(_to_bool(x) for x in v)), (0, 99)),
    'equals': _Substitution(lambda _, a, b: _from_bool(_equal(a, b)), (2, 2)),
    'not-equals': _Substitution(lambda _, a, b: _from_bool(not _equal(a, b)), (2, 2)),
}
