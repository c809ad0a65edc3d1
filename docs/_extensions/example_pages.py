"""Pages of examples: their order, and pictures of the figures that functions such as `draw_graph` return.

Such figures are objects that no window manager knows of, so that Sphinx-Gallery's own scraper does not see them.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure
from sphinx_gallery.scrapers import figure_rst
from sphinx_gallery.sorting import ExplicitOrder

ORDER = ExplicitOrder(
    ["own_model.py", "own_graph.py", "notebook.py", "topology_study.py", "asynchronous_convergence.py"]
)


def scrape(_block: Any, block_vars: dict[str, Any], gallery_conf: dict[str, Any]) -> str:
    """Saves the figures that are bound to a name since the last block, and says where they are."""
    shown = block_vars.setdefault("shown", set())
    files = []
    for thing in list(block_vars["example_globals"].values()):
        if isinstance(thing, Figure) and id(thing) not in shown:
            shown.add(id(thing))
            path = next(block_vars["image_path_iterator"])
            thing.savefig(path, dpi=120)
            files.append(str(Path(path)))
    return figure_rst(files, gallery_conf["src_dir"]) if files else ""


def _get_sg_image_scraper() -> Callable[..., str]:  # the name that Sphinx-Gallery asks for
    return scrape
