"""The documentation site: Markdown pages, and the reference from the docstrings; `make docs` builds it."""

from typing import Any

from docutils import nodes
from docutils.utils.math.latex2mathml import tex2mathml
from sphinx.ext.napoleon import Config, GoogleDocstring

import mfcl

project = "mfcl"
author = "The mfcl authors"
copyright = "the mfcl authors"
version = release = mfcl.__version__

extensions = ["myst_parser", "sphinx.ext.autodoc"]
myst_enable_extensions = ["dollarmath"]
myst_heading_anchors = 3
source_suffix = {".md": "markdown", ".rst": "restructuredtext"}
exclude_patterns = ["_build"]
default_role = "code"  # docstrings mark code by single backticks

autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_typehints_format = "short"
autodoc_preserve_defaults = True
autodoc_class_signature = "mixed"
python_use_unqualified_type_names = True
python_maximum_signature_line_length = 80
toc_object_entries_show_parents = "hide"

html_theme = "furo"
html_title = f"mfcl {version}"
html_math_renderer = "mathml"  # browsers draw it themselves; a script for it would come from the network
html_copy_source = False
html_show_sphinx = False
html_css_files = ["site.css"]
html_static_path = ["_static"]


GOOGLE = Config(napoleon_use_ivar=True)


def setup(app: Any) -> None:
    """Draw formulas as MathML, and read docstrings as they are written here."""
    app.add_html_math_renderer("mathml", inline_renderers=(_inline, None), block_renderers=(_block, None))
    app.connect("autodoc-process-docstring", _docstring)


def _inline(writer: Any, node: nodes.math) -> None:
    writer.body.append(tex2mathml(node.astext(), as_block=False))
    raise nodes.SkipNode


def _block(writer: Any, node: nodes.math_block) -> None:
    writer.body.append(f'<div class="formula">{tex2mathml(node.astext(), as_block=True)}</div>')
    raise nodes.SkipNode


def _docstring(app: Any, what: str, name: str, thing: Any, options: Any, lines: list[str]) -> None:
    if what in ("attribute", "property"):
        what = "method"  # of an attribute, what stands before a first colon would be taken for its type
    lines[:] = GoogleDocstring(_sources(lines), GOOGLE, app, what, name, thing, options).lines()


def _sources(lines: list[str]) -> list[str]:
    """Make each `Source: ...` with its indented further lines one paragraph."""
    made: list[str] = []
    within = False
    for line in lines:
        within = within and line.startswith("    ")
        within = within or line.startswith("Source: ")
        made.append(line.lstrip().replace("Source: ", "**Source:** ", 1) if within else line)
    return made
