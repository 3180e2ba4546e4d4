# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
"""`$(eval ...)`: Python expressions without Python's eval.

Upstream evaluates any Python. Here only comparisons, arithmetic, boolean logic, strings and a few
pure functions are allowed, so a launch file cannot run code by the way.
"""

import ast
import math
import operator
from collections.abc import Callable
from typing import Any

from ros2_standalone.errors import SubstitutionError

_BINARY: dict[type[ast.operator], Callable[[Any, Any], Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv,
    ast.Mod: operator.mod,
}
_COMPARE: dict[type[ast.cmpop], Callable[[Any, Any], Any]] = {
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
    ast.In: lambda a, b: a in b,
    ast.NotIn: lambda a, b: a not in b,
    ast.Is: operator.is_,
    ast.IsNot: operator.is_not,
}
_UNARY: dict[type[ast.unaryop], Callable[[Any], Any]] = {
    ast.Not: operator.not_,
    ast.USub: operator.neg,
    ast.UAdd: operator.pos,
}
_MATH = {name: value for name, value in vars(math).items() if not name.startswith('_')}
_NAMES: dict[str, Any] = {
    **_MATH,
    **{f.__name__: f for f in (abs, bool, float, int, len, max, min, round, str)},
}
_STRING_METHODS = frozenset(
    {'endswith', 'lower', 'lstrip', 'replace', 'rstrip', 'split', 'startswith', 'strip', 'upper'}
)


def evaluate(expression: str) -> str:
    """Return str() of a safe Python expression's value.

    :raises SubstitutionError: not a Python expression, beyond the subset, or it fails.
    """
    try:
        return str(_value(ast.parse(expression.strip(), mode='eval').body))
    except SubstitutionError as error:
        raise SubstitutionError(f'$(eval {expression}): {error}') from None
    except Exception as error:  # what the expression itself raises: ZeroDivisionError, TypeError...
        raise SubstitutionError(f'$(eval {expression}): {error}') from None


def _value(node: ast.expr) -> Any:
    match node:
        case ast.Constant(value=value):
            return value
        case ast.List(elts=items):
            return [_value(item) for item in items]
        case ast.Tuple(elts=items):
            return tuple(_value(item) for item in items)
        case ast.BoolOp():
            return _boolean(node)
        case ast.IfExp(test=test, body=body, orelse=orelse):
            return _value(body) if _value(test) else _value(orelse)
        case ast.UnaryOp(op=unary, operand=operand) if type(unary) in _UNARY:
            return _UNARY[type(unary)](_value(operand))
        case ast.BinOp(left=left, op=binary, right=right) if type(binary) in _BINARY:
            return _BINARY[type(binary)](_value(left), _value(right))
        case ast.Compare():
            return _compare(node)
        case ast.Call(keywords=[]):
            return _function(node.func)(*[_value(argument) for argument in node.args])
        case ast.Subscript(value=items, slice=index):
            return _value(items)[_value(index)]
        case ast.Name() | ast.Attribute():
            return _name(node)
    raise _beyond(node)


def _boolean(node: ast.BoolOp) -> Any:
    stop_at = isinstance(node.op, ast.Or)
    value: Any = None
    for operand in node.values:
        value = _value(operand)
        if bool(value) is stop_at:
            break
    return value


def _compare(node: ast.Compare) -> bool:
    left = _value(node.left)
    for comparison, operand in zip(node.ops, node.comparators, strict=True):
        right = _value(operand)
        if not _COMPARE[type(comparison)](left, right):
            return False
        left = right
    return True


def _function(node: ast.expr) -> Any:
    if isinstance(node, ast.Attribute) and node.attr in _STRING_METHODS:
        text = _value(node.value)
        if isinstance(text, str):
            return getattr(text, node.attr)
    return _name(node)


def _name(node: ast.expr) -> Any:
    match node:
        case ast.Name(id=name) if name in _NAMES:
            return _NAMES[name]
        case ast.Attribute(value=ast.Name(id='math'), attr=name) if name in _MATH:
            return _MATH[name]
    raise _beyond(node)


def _beyond(node: ast.expr) -> SubstitutionError:
    return SubstitutionError(
        f"'{ast.unparse(node)}' is not in the standalone subset (comparisons, arithmetic, "
        'and/or/not, strings, math); quote text with single quotes'
    )
