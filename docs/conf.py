"""The documentation's configuration: ``make docs``, warnings are errors; nothing is fetched while it is built."""

import os
import sys
from pathlib import Path

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE), str(HERE.parent)]

from pages import counts  # noqa: E402

project, author, copyright = "ddfm-theory", "ddfm-theory contributors", "Apache-2.0"  # noqa: A001
extensions = [
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "myst_nb",
    "ledger_pages",
    "mathml",
]
html_theme, html_title, html_math_renderer = "furo", "ddfm-theory", "mathml"
html_static_path, html_css_files = ["_static"], ["ddfm.css"]
exclude_patterns = ["generated/figures.md"]

myst_enable_extensions = ["amsmath", "colon_fence", "deflist", "dollarmath", "substitution"]
myst_heading_anchors = 3
myst_substitutions = counts()

# DDFM_DOCS=quick leaves the notebooks as they are written; otherwise they are run, by their fast switch.
nb_execution_mode = "off" if os.environ.get("DDFM_DOCS") == "quick" else "force"
nb_execution_timeout, nb_execution_raise_on_error, nb_merge_streams = 300, True, True
nb_render_markdown_format = "myst"
os.environ["DDFM_FAST"] = "1"

autodoc_default_options = {"show-inheritance": True}
autodoc_member_order, autodoc_typehints = "bysource", "signature"
add_module_names, toc_object_entries = False, False
napoleon_google_docstring, napoleon_numpy_docstring, napoleon_use_ivar = True, False, True

# What the project's own pages and docstrings refer to must be there; types of other packages are not looked up.
nitpicky = True
nitpick_ignore_regex = [("py:(class|data|exc)", ".*"), ("py:.*", r"(numpy|typing|torch|sympy|pytest)\..*")]
