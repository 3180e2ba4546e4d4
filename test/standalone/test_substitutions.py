# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
"""`$(...)` in launch files: grammar, meaning, and what is refused."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from source_tree import TREE

from ros2_standalone.context import Context
from ros2_standalone.errors import SubstitutionError
from ros2_standalone.expression import evaluate
from ros2_standalone.substitutions import is_true, resolve
from ros2_standalone.template import Text, parse_template

CONTEXT = Context(
    file=TREE / 'some.launch.yaml',
    configurations={'a': '1', 'b': 'two words', 'empty': '', 'yes': 'True', 'name': 'a'},
    environment={'SET': 'value'},
)


@pytest.mark.parametrize(
    ('source', 'expected'),
    [
        ('', ''),
        ('plain', 'plain'),
        ('$(var a)', '1'),
        ('x$(var a)y$(var b)z', 'x1ytwo wordsz'),
        ('$(var $(var name))', '1'),
        ('$(var nothing other)', 'other'),
        ("$(var nothing 'a $(var b)')", 'a two words'),
        ('$(env SET)', 'value'),
        ('$(env UNSET fallback)', 'fallback'),
        ('$(env UNSET "")', ''),
        ('$(dirname)/x', f'{TREE}/x'),
        (r'\$(var a)', '$(var a)'),
        ('$5 (and) more', '$5 (and) more'),
        (r'it\'s', "it's"),
        ('$(not $(var yes))', 'false'),
        ('$(and true 1)', 'true'),
        ('$(or false 0)', 'false'),
        ('$(all true true false)', 'false'),
        ('$(any false true)', 'true'),
        ('$(equals 1.0 1)', 'true'),
        ('$(equals True 1)', 'true'),
        ('$(not-equals a b)', 'true'),
        ('$(if true x y)', 'x'),
        ('$(if false x)', ''),
        ("$(eval \"'$(var a)' == '1'\")", 'True'),
        ("$(eval '$(var a) + 1')", '2'),
    ],
)
def test_resolve(source: str, expected: str) -> None:
    assert resolve(source, CONTEXT) == expected


@pytest.mark.parametrize(
    ('source', 'message'),
    [
        ('$(var nothing)', "launch configuration 'nothing' does not exist"),
        ('$(env UNSET)', "environment variable 'UNSET' does not exist"),
        ('$(var a', "')' is expected"),
        ('$()', 'a name is expected'),
        ('$(env  a)', 'an argument is expected (one space between arguments)'),
        ('$(env "a)', 'the quote " is not closed'),
        ('$(command ls)', "'$(command ...)' is not in the standalone subset"),
        ('$(dirname x)', '$(dirname ...) takes 0 arguments, got 1'),
        ('$(eval 1 + 1)', '$(eval ...) takes 1 arguments, got 3 (quote an argument'),
        ('$(not maybe)', "'maybe' is not a boolean"),
        ('$(find-pkg-share no_such_package)', "package 'no_such_package' not found, searching"),
    ],
)
def test_resolve_refuses(source: str, message: str) -> None:
    with pytest.raises(SubstitutionError) as error:
        resolve(source, CONTEXT)
    assert message in str(error.value)


@given(st.text())
def test_any_escaped_text_comes_back(text: str) -> None:
    escaped = text.replace('\\', '\\\\').replace('$', '\\$')
    parts = parse_template(escaped)
    assert all(isinstance(part, Text) for part in parts)
    assert resolve(escaped, CONTEXT) == text


@given(
    st.lists(st.sampled_from(['$(var a)', '$(var b)', 'x', ' ', '"', '$', '(', ')']), max_size=8)
)
def test_substitutions_are_replaced_one_by_one(pieces: list[str]) -> None:
    pieces = [p for i, p in enumerate(pieces) if not (p == '(' and pieces[i - 1 : i] == ['$'])]
    values = {'$(var a)': '1', '$(var b)': 'two words'}
    source = ''.join(pieces)
    if '$$' in source or source.count('$(') != sum(piece in values for piece in pieces):
        return
    assert resolve(source, CONTEXT) == ''.join(values.get(piece, piece) for piece in pieces)


@given(st.text())
def test_parsing_either_works_or_says_where(source: str) -> None:
    try:
        parse_template(source)
    except SubstitutionError as error:
        assert 'column' in str(error)


@pytest.mark.parametrize('value', ['true', 'True', ' TRUE ', '1', '$(var yes)'])
def test_true(value: str) -> None:
    assert is_true(value, CONTEXT)


@pytest.mark.parametrize('value', ['false', '0', '$(not true)'])
def test_false(value: str) -> None:
    assert not is_true(value, CONTEXT)


@pytest.mark.parametrize('value', ['', 'yes', '2', 'none'])
def test_a_condition_is_nothing_else(value: str) -> None:
    with pytest.raises(SubstitutionError, match='use true, 1, false or 0'):
        is_true(value, CONTEXT)


@pytest.mark.parametrize(
    ('expression', 'expected'),
    [
        ("'a' != '' and 2 > 1", 'True'),
        ("('x' == 'x') + ('y' == 'y')", '2'),
        ('1 < 2 < 3', 'True'),
        ("'b' in ['a', 'b']", 'True'),
        ("'ab'.upper().startswith('A')", 'True'),
        ('not 0 or 5', 'True'),
        ('7 // 2 + 7 % 2 - -1', '5'),
        ("'big' if 3 > 2 else 'small'", 'big'),
        ('cos(0) + math.pi - pi', '1.0'),
        ("float('0.5') * 2", '1.0'),
        ('(1, 2)', '(1, 2)'),
        ('max(1, min(3, 2))', '2'),
        ("('a,b'.split(',') * 2)[3 - 1]", 'a'),
    ],
)
def test_eval(expression: str, expected: str) -> None:
    assert evaluate(expression) == expected
    assert str(eval(expression, {'math': math, **vars(math)})) == expected  # as upstream


@pytest.mark.parametrize(
    'expression',
    [
        "__import__('os').system('true')",
        "open('/etc/passwd')",
        "'a'.__class__",
        "'{0.__class__}'.format(1)",
        '9 ** 9 ** 9',
        '[x for x in (1, 2)]',
        'lambda: 1',
        "f'{1}'",
        'unknown == 1',
        'math.__loader__',
        "'a'.split.__self__[0]",
    ],
)
def test_eval_runs_no_code(expression: str) -> None:
    with pytest.raises(SubstitutionError, match='not in the standalone subset'):
        evaluate(expression)


@pytest.mark.parametrize('expression', ['1 / 0', "'a' < 1", '1 +', ''])
def test_eval_says_what_failed(expression: str) -> None:
    with pytest.raises(SubstitutionError) as error:
        evaluate(expression)
    assert str(error.value).startswith(f'$(eval {expression})')


def test_find_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / 'share/ament_index/resource_index/packages').mkdir(parents=True)
    (tmp_path / 'share/ament_index/resource_index/packages/demo').touch()
    monkeypatch.setenv('AMENT_PREFIX_PATH', str(tmp_path))
    assert resolve('$(find-pkg-share demo)/x', CONTEXT) == f'{tmp_path}/share/demo/x'
    assert resolve('$(find-pkg-prefix demo)', CONTEXT) == str(tmp_path)
