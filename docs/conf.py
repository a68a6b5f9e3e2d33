"""Settings of Sphinx; `docs/README.md` has the command that builds the pages."""

import os
import re
from xml.etree import ElementTree

from docutils import nodes
from docutils.utils.math.latex2mathml import tex2mathml
from sphinx_gallery.sorting import ExplicitOrder

import skae

# Rich draws the progress bars of an example, without a terminal whose width it could measure.
os.environ["COLUMNS"] = "80"

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
numpydoc_show_class_members = False  # the template of a class lists them
numpydoc_validation_checks = {"all", "ES01", "EX01", "RT02", "SA01", "SS05"}
extlinks = {
    "arxiv": ("https://arxiv.org/abs/%s", "arXiv:%s"),
    "doi": ("https://doi.org/%s", "doi:%s"),
}

EXAMPLES = [  # in the order of the gallery, the basics first
    "plot_pca_to_skae",
    "plot_2d_maps",
    "plot_depth",
    "plot_grid_search",
    "plot_images_pipeline",
    "plot_denoising_digits",
    "plot_imputation",
    "plot_signals",
    "plot_segmentation",
    "plot_colorization",
    "plot_anomalies_tables",
    "plot_outliers",
    "plot_vae_digits",
    "plot_code_map",
    "plot_saved_model",
]
sphinx_gallery_conf = {
    "examples_dirs": "examples",
    "gallery_dirs": "auto_examples",
    "backreferences_dir": "api/examples",
    "doc_module": ("skae",),
    "reference_url": {"skae": None},
    "within_subsection_order": ExplicitOrder([*(f"{name}.py" for name in EXAMPLES), "*"]),
    "capture_repr": (),  # what an example prints, without the value of its last line
    "download_all_examples": False,
    "show_signature": False,
    "write_computation_times": False,
}

html_theme = "pydata_sphinx_theme"
html_title = f"skae {version}"
html_show_sourcelink = False
html_static_path = ["_static"]
html_css_files = ["style.css"]
html_sidebars = {  # pages without pages below them
    page: []
    for page in ("architecture", "benchmarks", "changelog", "coming_from", "contributing", "faq")
}
html_math_renderer = "mathml"
html_theme_options = {
    "header_links_before_dropdown": 6,
    "navbar_end": ["theme-switcher"],
    "footer_end": [],
    "secondary_sidebar_items": ["page-toc"],
}


SKLEARN = "https://scikit-learn.org/stable/"
SKLEARN_PAGES = {  # what inherited docstrings refer to
    "df_output_transform": "modules/compose.html",
    "metadata_routing": "metadata_routing.html",
    "meta-estimator": "glossary.html#term-meta-estimator",
    "sphx_glr_auto_examples_miscellaneous_plot_set_output.py": (
        "auto_examples/miscellaneous/plot_set_output.html"
    ),
}


def link_to_sklearn(app, env, node, content):
    """Link names of scikit-learn to its pages, without a download of its inventory."""
    target = node["reftarget"]
    page = (
        f"modules/generated/{target}.html"
        if target.startswith("sklearn.")
        else SKLEARN_PAGES.get(target)
    )
    return page and nodes.reference("", "", content, internal=False, refuri=SKLEARN + page)


ElementTree.register_namespace("", "http://www.w3.org/1998/Math/MathML")
MATHML = "{http://www.w3.org/1998/Math/MathML}"


def formula_to_mathml(formula, *, as_block):
    r"""MathML of a formula.

    Docutils sets the subscript of an accented letter, as in ``\hat x_{ij}``, under the letter.
    """
    mathml = tex2mathml(formula, as_block=as_block)
    root = ElementTree.fromstring(mathml.replace("&ApplyFunction;", "\N{FUNCTION APPLICATION}"))
    for under_over in list(root.iter(f"{MATHML}munderover")):
        letter, subscript, over = under_over
        if over.tag != f"{MATHML}mo" or over.get("stretchy") != "false":
            continue  # limits, as those of a sum
        under_over.tag = f"{MATHML}msub"
        under_over[:] = [ElementTree.Element(f"{MATHML}mover", accent="true"), subscript]
        under_over[0].extend([letter, over])
    return ElementTree.tostring(root, encoding="unicode")


def visit_math(translator, node):
    """Formulas as MathML, which browsers show without a script or a network."""
    is_block = isinstance(node, nodes.math_block)
    formula = formula_to_mathml(node.astext(), as_block=is_block)
    translator.body.append(f'<div class="formula">{formula}</div>' if is_block else formula)
    raise nodes.SkipNode


def point_at_the_site(app, docname, source):
    """Turn links to files, which work on GitHub, into links to pages, and names into links."""
    if app.env.doc2path(docname).suffix != ".md":
        return
    page = re.sub(r"\((\.\./)?examples/(\w+)\.py\)", r"(\1auto_examples/\2.rst)", source[0])
    page = re.sub(r"\((\.\./)?\.\./benchmarks/README\.md\)", r"(\1benchmarks.md)", page)
    page = re.sub(
        r"\((\.\./)?\.\./(CONTRIBUTING|CHANGELOG)\.md\)",
        lambda match: f"({match[1] or ''}{match[2].lower()}.md)",
        page,
    )
    source[0] = re.sub(rf"(?<![\[`])`({'|'.join(skae.__all__)})`", r"{py:obj}`~skae.\1`", page)


def setup(app):
    app.add_html_math_renderer("mathml", (visit_math, None), (visit_math, None))
    app.connect("source-read", point_at_the_site)
    app.connect("missing-reference", link_to_sklearn)
