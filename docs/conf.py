"""The documentation site: Sphinx reads the pages of this folder.

`from_code` writes what the code knows, `pictures` brings the pictures.
"""

import sys
from importlib.metadata import version as version_of
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

project = "copilot_nb"
author = "The authors of copilot_nb"
version = release = version_of("copilot-nb")
extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "from_code", "pictures"]
highlight_language = "text"  # a block without a language is a cell: its prompt is no Python
default_role = "code"  # docstrings write `names` so
myst_heading_anchors = 4
suppress_warnings = ["myst.header"]  # a decision's page begins where its title says
autodoc_typehints = "description"
autodoc_member_order = "bysource"
smartquotes = False  # quotes matter in code
napoleon_numpy_docstring, napoleon_google_docstring = True, False
html_theme = "pydata_sphinx_theme"
html_static_path = ["static"]
html_css_files = ["site.css"]
html_title = "copilot_nb"
html_theme_options = {
    "navbar_center": [],  # the side bar lists all pages
    "navigation_with_keys": False,
    "show_toc_level": 2,
    "secondary_sidebar_items": ["page-toc"],
}
html_sidebars = {"**": ["pages.html"]}
templates_path = ["templates"]
html_show_sourcelink = False
html_copy_source = False
