# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Untrusted YAML: plain values, in bounded time and memory.

A few lines of references to references stand for more values than any memory holds, and brackets
within brackets for more depth than a parser has.
"""

from __future__ import annotations

from typing import Any

import yaml

MAX_DEPTH = 50
MAX_REFERENCES = 20  # 7 levels of 3 references each are 2,187 values


def load(text: str) -> Any:
    """The values in a text; ValueError where it is not YAML, or more than plain values."""
    loader = getattr(yaml, 'CSafeLoader', yaml.SafeLoader)
    depth = references = 0
    try:
        for event in yaml.parse(text, loader):
            depth += isinstance(event, yaml.CollectionStartEvent)
            depth -= isinstance(event, yaml.CollectionEndEvent)
            references += isinstance(event, yaml.AliasEvent)
            if depth > MAX_DEPTH:
                raise ValueError(f'not plain YAML: more than {MAX_DEPTH} levels')
            if references > MAX_REFERENCES:
                raise ValueError(f'not plain YAML: more than {MAX_REFERENCES} references')
        return yaml.load(text, loader)
    except (yaml.YAMLError, AttributeError, TypeError, OverflowError) as error:
        raise ValueError(f'not YAML: {error}') from None
