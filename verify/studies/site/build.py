"""Gathers the pages, builds the site from them, and checks its links.

python -m verify.studies.site
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

from verify.studies.claims_page import ROOT
from verify.studies.site import api, assets, claim_pages, experiments, gallery, links, notebook, papers
from verify.trials import files

GATHERED = ROOT / "build" / "docs"
SITE = ROOT / "site"
OWN = (
    "README.md", "docs/*.md", "docs/figures/*.*", "docs/figures/findings/*.svg", "docs/certificates/**/*.json",
    "docs/examples/*.py",
)  # fmt: skip
"""Files of the repository that are in the site as they are."""


def gather(folder: Path = GATHERED) -> int:
    """Write every page and everything that pages need into ``folder``; how many pages.

    Raises:
        ValueError: a page links a file that there is not.
        FileNotFoundError: MathJax is missing.
    """
    shutil.rmtree(folder, ignore_errors=True)
    assets.write(folder / "assets")
    pages = {"api.md": api.page(), **claim_pages.pages(), "notebook.md": notebook.page()}
    figures, drawings = gallery.pages()
    pages |= figures
    sources = dict.fromkeys(pages, "")
    for name, text in {**papers.pages(), "experiments.md": experiments.page()}.items():
        pages[name], sources[name] = text, f"docs/{name}"
    for path in (p for pattern in OWN for p in sorted(ROOT.glob(pattern))):
        source = str(path.relative_to(ROOT))
        name = "index.md" if source == "README.md" else source.removeprefix("docs/")
        if name in pages:
            continue
        if path.suffix == ".md":
            pages[name], sources[name] = path.read_text(), source
        else:
            _copy(path, folder / name)
    for name, text in pages.items():
        moved, needed = links.moved(text, name, sources[name])
        files.write(folder / name, moved)
        for target, source in needed.items():
            _copy(ROOT / source, folder / target)
    for name, text in drawings.items():
        files.write(folder / name, text)
    return len(pages)


def _copy(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(source, target)


def build() -> int:
    """Gather, build, check; the exit code."""
    try:
        count = gather()
    except (ValueError, FileNotFoundError, RuntimeError) as e:
        print(e, file=sys.stderr)
        return 2
    quiet = {**os.environ, "NO_MKDOCS_2_WARNING": "1"}
    done = subprocess.run([sys.executable, "-m", "mkdocs", "build", "--quiet"], cwd=ROOT, env=quiet, check=False)
    if done.returncode:
        return done.returncode
    assets.localise(SITE)
    broken = list(links.broken(SITE))
    print("\n".join(broken), end="\n" if broken else "", file=sys.stderr)
    print(f"{count} pages in {SITE.relative_to(ROOT)}/; open {SITE.relative_to(ROOT)}/index.html")
    return 1 if broken else 0
