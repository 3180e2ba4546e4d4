# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The pages as a site: `make docs`."""

import sys
from pathlib import Path
from typing import Any

from docutils import nodes
from latex2mathml.converter import convert
from sphinx import addnodes

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE.parent), str(HERE)]

import reference  # noqa: E402, beside this file

from loop_ros import __version__  # noqa: E402

project = 'loop_ros'
author = 'The loop_ros authors'
project_copyright = '2026, the loop_ros authors'
release = version = __version__
extensions = ['myst_parser', 'sphinx.ext.autodoc', 'sphinx.ext.napoleon']
html_math_renderer = 'mathml'
myst_enable_extensions = ['dollarmath']
myst_heading_anchors = 3
html_theme = 'furo'
html_title = 'loop_ros'
autodoc_typehints = 'description'
html_use_index = html_domain_indices = False  # the search finds names too
exclude_patterns = ['results/runs', 'results/runs_earlier']

# Files of the repository that are a page here; test/core/test_pages.py looks after links to others.
INCLUDED = {
    name: name.lower() for name in ('ARCHITECTURE', 'CHANGELOG', 'CONTRIBUTING', 'SECURITY')
}

reference.write(HERE / 'reference')


def lead_into_the_site(app: Any, doctree: nodes.document) -> None:
    """Links out of docs/ go to the page that includes the file; where there is none, text stays."""
    for link in list(doctree.findall(addnodes.pending_xref)):
        if link['reftype'] != 'myst' or link.get('reflocalid'):
            continue
        if link['refdomain'] == 'doc' and link['reftarget'] in app.env.found_docs:
            continue
        page = INCLUDED.get(Path(link['reftarget']).stem)
        if page is None:
            link.replace_self(link.children)
        else:
            link['refdomain'], link['reftarget'], link['reftargetid'] = 'doc', page, None


def is_field(_app: Any, _what: str, _name: str, member: object, *_: Any) -> bool | None:
    """A named tuple's field: its parameters name it already."""
    return (getattr(member, '__doc__', None) or '').startswith('Alias for field') or None


def setup(app: Any) -> None:
    """Formulas as MathML, which browsers draw themselves: no script, no internet."""
    app.connect('doctree-read', lead_into_the_site)
    app.connect('autodoc-skip-member', is_field)

    def formula(display: str) -> Any:
        def visit(writer: Any, node: nodes.Element) -> None:
            writer.body.append(convert(node.astext(), display=display))
            raise nodes.SkipNode

        return visit, None

    app.add_html_math_renderer('mathml', formula('inline'), formula('block'))
