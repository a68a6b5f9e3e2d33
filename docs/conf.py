"""Sphinx's settings: `sphinx-build -W --keep-going -b html docs docs/_build/html` builds the pages, without a network."""

import os
import re

from docutils import nodes
from docutils.utils.math.latex2mathml import tex2mathml

import skae

# Rich, which draws the progress bars of an example, has no terminal to measure.
os.environ["COLUMNS"] = "120"

project = "skae"
author = "the skae developers"
release = version = skae.__version__

extensions = [
    "myst_parser",
    "numpydoc",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.extlinks",
    "sphinx_copybutton",
    "sphinx_design",
    "sphinx_gallery.gen_gallery",
]
exclude_patterns = ["_build", "README.md", "examples"]
templates_path = ["_templates"]
default_role = "literal"
smartquotes = False
toc_object_entries_show_parents = "hide"

myst_enable_extensions = ["colon_fence", "dollarmath"]
myst_heading_anchors = 3

autosummary_generate = True
numpydoc_show_class_members = False  # the template lists them, those of skae alone
numpydoc_validation_checks = {"all", "ES01", "EX01", "RT02", "SA01", "SS05"}
extlinks = {
    "arxiv": ("https://arxiv.org/abs/%s", "arXiv:%s"),
    "doi": ("https://doi.org/%s", "doi:%s"),
}

sphinx_gallery_conf = {
    "examples_dirs": "examples",
    "gallery_dirs": "auto_examples",
    "backreferences_dir": "api/examples",
    "doc_module": ("skae",),
    "reference_url": {"skae": None},
    "download_all_examples": False,
    "show_signature": False,
    "write_computation_times": False,
}

html_theme = "pydata_sphinx_theme"
html_title = "skae"
html_show_sourcelink = False
html_static_path = ["_static"]
html_css_files = ["style.css"]
html_math_renderer = "mathml"
html_theme_options = {
    "navbar_end": ["theme-switcher"],
    "footer_end": [],
    "secondary_sidebar_items": ["page-toc"],
}


SKLEARN = "https://scikit-learn.org/stable/"
SKLEARN_PAGES = {  # what inherited docstrings refer to
    "df_output_transform": "modules/compose.html",
    "metadata_routing": "metadata_routing.html",
    "meta-estimator": "glossary.html#term-meta-estimator",
    "sphx_glr_auto_examples_miscellaneous_plot_set_output.py": "auto_examples/miscellaneous/plot_set_output.html",
}


def link_to_sklearn(app, env, node, content):
    """A link to scikit-learn's page of a name that is its own; its inventory would have to be downloaded."""
    target = node["reftarget"]
    page = (
        f"modules/generated/{target}.html"
        if target.startswith("sklearn.")
        else SKLEARN_PAGES.get(target)
    )
    return page and nodes.reference("", "", content, internal=False, refuri=SKLEARN + page)


def visit_math(translator, node):
    """Formulas as MathML, which browsers show without a script or a network."""
    is_block = isinstance(node, nodes.math_block)
    formula = tex2mathml(node.astext(), as_block=is_block)
    translator.body.append(f'<div class="formula">{formula}</div>' if is_block else formula)
    raise nodes.SkipNode


def point_at_the_site(app, docname, source):
    """Links of a page that lead to files, as on GitHub, to the pages made of them; names of the API to theirs."""
    if app.env.doc2path(docname).suffix != ".md":
        return
    page = re.sub(r"\((\.\./)?examples/(\w+)\.py\)", r"(\1auto_examples/\2.rst)", source[0])
    page = re.sub(r"\((\.\./)?\.\./benchmarks/README\.md\)", r"(\1benchmarks.md)", page)
    source[0] = re.sub(rf"(?<![\[`])`({'|'.join(skae.__all__)})`", r"{py:obj}`~skae.\1`", page)


def setup(app):
    app.add_html_math_renderer("mathml", (visit_math, None), (visit_math, None))
    app.connect("source-read", point_at_the_site)
    app.connect("missing-reference", link_to_sklearn)
