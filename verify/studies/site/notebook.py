"""The notebook as a page: what its cells show with every slider where it starts.

marimo's own export loads its program from a server on the internet, so it would not work offline. The page is static,
and says how to start the notebook itself.
"""

from __future__ import annotations

import importlib.util
import re
from typing import Any

from verify.studies.claims_page import ROOT

NOTEBOOK = ROOT / "docs" / "notebook.py"
_TEX = re.compile(r"<marimo-tex[^>]*>\|\|\((.*?)\|\|\)</marimo-tex>", re.S)
_HEAD = """\
# A notebook to play with

Three weights on which PX dies, SynFlow against the sketch, the trace and its bound, and your own network. This page
shows the notebook with every slider where it starts. To move them:

```sh
pip install -e '.[docs]'
marimo run docs/notebook.py       # or marimo edit, to change it
```
"""


def outputs() -> list[Any]:
    """What the cells show, in order; None for a cell that shows nothing.

    Raises:
        RuntimeError: marimo is not installed.
        Exception: whatever a cell raises.
    """
    if importlib.util.find_spec("marimo") is None:
        raise RuntimeError("marimo is missing: pip install -c constraints.txt -e '.[docs]'")
    spec = importlib.util.spec_from_file_location("notebook", NOTEBOOK)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    shown, _ = module.app.run()
    return list(shown)


def page() -> str:
    """The page."""
    parts = [_HEAD]
    for shown in outputs():
        text = getattr(shown, "text", "")
        if not text or "<marimo-ui-element" in text:
            continue
        text = _TEX.sub(r'<span class="arithmatex">\\(\1\\)</span>', text)
        text = re.sub(r"<h1.*?</h1>", "", text, flags=re.S)
        parts += [f"<div class=cell>{text}</div>", ""]
    return "\n".join(parts)
