"""Settings of the documentation site, which `make docs` builds from this folder, the docstrings and examples/."""

import logging
import sys
from importlib import metadata
from pathlib import Path

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE / "_extensions"))

# Ray tells on every start how to switch its tokens off; that is no part of what an example shows.
logging.getLogger("ray._private.authentication.authentication_token_setup").setLevel(logging.ERROR)

project = "nashgossip"
author = "The nashgossip developers"
copyright = author
try:
    release = metadata.version("nashgossip")
except metadata.PackageNotFoundError:  # a checkout that is on the path without being installed
    release = "unreleased"

extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "sphinx_gallery.gen_gallery",
    "docstrings",
    "linked_names",
    "mathml",
    "reference_pages",
]
exclude_patterns = ["_extensions", "gallery/**/*.ipynb", "gallery/**/*.json", "gallery/**/*.py"]
nitpicky = False

# Markdown
myst_enable_extensions = ["dollarmath"]
myst_heading_anchors = 4
myst_dmath_double_inline = True

# Docstrings: `code` in single backquotes, as in Markdown, and sections of their own names.
default_role = "code"
napoleon_google_docstring = True
napoleon_numpy_docstring = False
napoleon_use_rtype = False
napoleon_use_ivar = True
autodoc_typehints = "signature"
autodoc_member_order = "bysource"
autodoc_default_options = {"members": True}
autodoc_preserve_defaults = True
python_maximum_signature_line_length = 90
toc_object_entries_show_parents = "hide"

# The examples are run, and what they show is kept in the pages.
sphinx_gallery_conf = {
    "examples_dirs": ["../examples"],
    "gallery_dirs": ["gallery"],
    "filename_pattern": r"\.py$",
    "within_subsection_order": "example_pages.ORDER",
    "abort_on_example_error": True,
    "show_memory": False,
    "show_signature": False,
    "download_all_examples": False,
    "remove_config_comments": True,
    "min_reported_time": 1e9,
    "capture_repr": ("_repr_html_",),
    "image_scrapers": ("matplotlib", "example_pages"),
}

html_theme = "furo"
html_title = "nashgossip"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_copy_source = False
html_show_sourcelink = False
html_theme_options = {"navigation_with_keys": True}
pygments_style = "friendly"
pygments_dark_style = "monokai"
