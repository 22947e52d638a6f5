"""Builds the documentation: `make docs`."""

import importlib
import inspect
import re

import zeroone_jax

project = "zeroone_jax"
author = "the zeroone_jax authors"
copyright = author
version = release = zeroone_jax.__version__

extensions = [
    "myst_nb",
    "sphinx.ext.autodoc",
    "sphinx.ext.mathjax",
    "sphinx.ext.napoleon",
    "sphinx_copybutton",
    "sphinx_design",
]

# Notebooks are stored with their outputs; `make notebooks` executes them.
nb_execution_mode = "off"
myst_enable_extensions = ["colon_fence", "dollarmath"]
myst_heading_anchors = 4

html_theme = "sphinx_book_theme"
html_title = "zeroone_jax"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_theme_options = {
    "show_toc_level": 2,
    "home_page_in_toc": True,
    # The sidebar has the search already.
    "navbar_persistent": [],
}
html_show_copyright = False
html_show_sourcelink = False
copybutton_exclude = ".linenos, .gp, .go"

autodoc_default_options = {"member-order": "bysource"}
autodoc_typehints_format = "short"
python_use_unqualified_type_names = True
python_maximum_signature_line_length = 72
napoleon_google_docstring = True
napoleon_custom_sections = [("Attributes", "params_style")]
# Single backticks in docstrings name objects: a link where there is a page, code
# elsewhere.
default_role = "py:obj"


def _name_classes_as_imported() -> None:
    """Gives public classes the names and modules that users import them by.

    `attacks.pgd` is the class `ProjectedGradientDescent` of a module of its own; its
    page shall say `attacks.pgd`.
    """
    for package in (
        "data",
        "models.zero_one",
        "models",
        "attacks",
        "attacks.suite",
        "verification",
        "coordinate_descent",
        "training.objectives",
        "training",
        "runs",
    ):
        module = importlib.import_module(f"zeroone_jax.{package}")
        for name in module.__all__:
            value = getattr(module, name)
            if not inspect.isclass(value):
                continue
            if value.__module__.startswith("zeroone_jax."):
                value.__name__ = value.__qualname__ = name
                value.__module__ = module.__name__


_name_classes_as_imported()


def _is_hidden(app, what, name, value, skip, options):
    """Leaves out fields of named tuples, which their docstrings describe."""
    is_field = type(value).__name__ == "_tuplegetter"
    return True if is_field or name in ("count", "index") else None


def _link_papers(app, what, name, value, options, lines):
    """Turns "docs/papers.md, A2" of a docstring into a link to that section."""
    for place, line in enumerate(lines):
        lines[place] = re.sub(
            r"docs/papers\.md, ([AB])(\d)",
            lambda found: (
                f":ref:`Papers, {found[1]}{found[2]} "
                f"<papers-{found[1].lower()}{found[2]}>`"
            ),
            line,
        )


def setup(app):
    """Connects what is defined above."""
    app.connect("autodoc-skip-member", _is_hidden)
    app.connect("autodoc-process-docstring", _link_papers)
