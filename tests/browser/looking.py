"""Looks at pages in a headless Chromium and asks axe for violations of WCAG 2.2 level A and AA.

python -m tests.browser.looking [--shots FOLDER] PAGE.html ...     at 400 and 1280 px, light and dark
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
WIDTHS = (400, 1280)
SCHEMES = ("light", "dark")


def _chromium() -> str | None:
    return shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")


def missing() -> str:
    """Why pages cannot be looked at here; empty where they can."""
    if shutil.which("node") is None:
        return "node is missing"
    if _chromium() is None:
        return "Chromium is missing"
    if not (ROOT / "node_modules" / "axe-core").is_dir():
        return "axe is missing: run `npm ci`"
    return ""


@dataclass(frozen=True)
class Seen:
    """What was seen of a page.

    Attributes:
        violations: of level A and AA: id, impact, help, where (at most five places).
        wide: elements that make the page wider than its window, so that one has to scroll sideways.
        outside: addresses it asked for that are not its own (refused).
        errors: of its scripts.
        value: of the script that was run on it, if any.
    """

    violations: list[dict[str, Any]]
    wide: list[str]
    outside: list[str]
    errors: list[str]
    value: Any

    def complaints(self) -> list[str]:
        """Everything that is wrong, a line each; empty where nothing is."""
        out = [f"{v['id']} ({v['impact']}): {v['help']}: {where}" for v in self.violations for where in v["where"]]
        out += [f"wider than the window: {w}" for w in self.wide]
        out += [f"asks for {o}" for o in self.outside]
        return out + [f"script: {e}" for e in self.errors]


class Browser:
    """One headless Chromium; close it, or use it in a with statement.

    Raises:
        RuntimeError: something that it needs is missing.
    """

    def __init__(self) -> None:
        if why := missing():
            raise RuntimeError(why)
        command = ["node", str(Path(__file__).with_name("look.mjs")), str(_chromium())]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def look(
        self, page: str | Path, width: int, scheme: str, *, height: int = 900, shot: str | Path = "", script: str = ""
    ) -> Seen:
        """Look at a page (a file or an address) in a window of that width.

        Args:
            page: file or address.
            width: of the window, in px.
            scheme: "light" or "dark", what the reader prefers.
            height: of the window, in px.
            shot: a PNG file for a picture of the whole page.
            script: JavaScript, an expression, evaluated before axe runs.

        Raises:
            RuntimeError: the page could not be opened.
        """
        url = str(page) if "://" in str(page) else Path(page).resolve().as_uri()
        asked = {"url": url, "width": width, "height": height, "scheme": scheme, "shot": str(shot), "script": script}
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(asked) + "\n")
        self._process.stdin.flush()
        answer = json.loads(self._process.stdout.readline() or '{"error": "the browser ended"}')
        if "error" in answer:
            raise RuntimeError(f"{page}: {answer['error']}")
        return Seen(**answer)

    def close(self) -> None:
        """End it."""
        if self._process.poll() is None and self._process.stdin is not None:
            self._process.stdin.close()
        self._process.wait(30)
        if self._process.stdout is not None:
            self._process.stdout.close()

    def __enter__(self) -> Browser:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def main() -> int:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("pages", nargs="+", type=Path)
    parser.add_argument("--shots", type=Path, help="folder for screenshots")
    options = parser.parse_args()
    if options.shots:
        options.shots.mkdir(parents=True, exist_ok=True)
    bad = 0
    with Browser() as browser:
        for page in options.pages:
            for width in WIDTHS:
                for scheme in SCHEMES:
                    name = "-".join(page.resolve().with_suffix("").parts[-2:])
                    shot = options.shots / f"{name}-{width}-{scheme}.png" if options.shots else ""
                    wrong = browser.look(page, width, scheme, shot=shot).complaints()
                    bad += len(wrong)
                    print(f"{page} at {width} px, {scheme}: {len(wrong) or 'nothing'} wrong")
                    print("".join(f"  {w}\n" for w in wrong), end="")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
