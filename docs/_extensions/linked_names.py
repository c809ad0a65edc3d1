"""Code that names a public function or class, such as `topology.influence`, becomes a link to the reference.

Pages stay plain Markdown that reads well elsewhere: no role is written around a name.
"""

import re
from collections import Counter
from typing import Any

from docutils import nodes
from sphinx import addnodes
from sphinx.application import Sphinx
from sphinx.transforms.post_transforms import SphinxPostTransform

_NAME = re.compile(r"(?:nashgossip\.)?([A-Za-z_][\w.]*)(?:\(.*\))?", re.DOTALL)
_PACKAGES = ("topology", "games", "agents", "agents.models", "runners")


def setup(app: Sphinx) -> dict[str, Any]:
    app.add_post_transform(LinkNames)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}


class LinkNames(SphinxPostTransform):
    default_priority = 5  # before references are resolved

    def run(self, **_: Any) -> None:
        known = _targets(self.env.domains.python_domain.objects)
        for literal in list(self.document.findall(nodes.literal)):
            if isinstance(literal.parent, nodes.reference):
                continue
            match = _NAME.fullmatch(literal.astext())
            target = known.get(match.group(1)) if match else None
            if target is None or target[0] == self.env.docname:
                continue
            reference = addnodes.pending_xref(
                "", literal.deepcopy(), refdomain="py", reftype="obj", reftarget=target[1], refdoc=self.env.docname
            )
            literal.replace_self(reference)


def _targets(objects: Any) -> dict[str, tuple[str, str]]:
    """What may be written → page and full name: every name behind its package, and unambiguous names without it."""
    found: dict[str, tuple[str, str]] = {}
    shorter: dict[str, set[tuple[str, str]]] = {}
    for full, entry in objects.items():
        if not full.startswith("nashgossip."):
            continue
        path = full.removeprefix("nashgossip.")
        target = (entry.docname, full)
        found[path] = target
        for package in _PACKAGES:
            if path.startswith(package + "."):
                short = path.removeprefix(package + ".")
                if "." in short or "_" in short or short[0].isupper():  # `play` or `fleet` alone may be plain words
                    shorter.setdefault(short, set()).add(target)
    pages = Counter({short: len(targets) for short, targets in shorter.items()})
    for short, targets in shorter.items():
        if pages[short] == 1:
            found.setdefault(short, next(iter(targets)))
    return found
