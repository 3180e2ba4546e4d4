# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A template to a page that loads nothing."""

from __future__ import annotations

import base64
import gzip
from pathlib import Path
from typing import Any

import jinja2
from plotly.offline import get_plotlyjs

import loop_ros

_HERE = Path(__file__).parent


def render(template: str, **content: Any) -> str:
    """The page; its style, script and the plotting library are in it."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(_HERE),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template(template).render(
        version=loop_ros.__version__,
        plotlyjs=_packed(get_plotlyjs()),
        script=(_HERE / 'page.js').read_text(encoding='utf-8'),
        style=(_HERE / 'page.css').read_text(encoding='utf-8'),
        **content,
    )


def _packed(script: str) -> str:
    """A script at two fifths of its size; page.js unpacks it."""
    return base64.b64encode(gzip.compress(script.encode(), mtime=0)).decode()
