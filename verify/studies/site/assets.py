"""What the site's pages need beside their text: colours, and formulas set in the browser from a copy of MathJax."""

from __future__ import annotations

from pathlib import Path

from verify.studies.claims_page import ROOT

MODULES = ROOT / "node_modules"
SCRIPTS = {
    "mathjax.js": MODULES / "mathjax" / "es5" / "tex-svg-full.js",
    "iframe-worker.js": MODULES / "iframe-worker" / "shim" / "index.js",
}
"""What package.json pins: MathJax, and what the search needs where pages are opened as files."""

SHIM = "https://unpkg.com/iframe-worker/shim"
"""Where Material would load the latter from."""

STYLE = """\
:root { --md-primary-fg-color: #1d4e79; --md-primary-fg-color--light: #2a6399; --md-primary-fg-color--dark: #163c5e;
  --md-primary-bg-color: #fff; --md-text-font: system-ui; --md-code-font: ui-monospace; }
[data-md-color-scheme="default"] { --md-typeset-a-color: #14588f; --md-default-fg-color--light: #4a4f57;
  --md-default-fg-color--lighter: #5c626b; --md-accent-fg-color: #0b3f6b; --md-code-hl-comment-color: #59606a;
  --md-code-hl-number-color: #a3352b; --md-code-hl-special-color: #8a2950; --md-code-hl-function-color: #7a3490;
  --md-code-hl-constant-color: #5b45a5; --md-code-hl-keyword-color: #2a51a8; --md-code-hl-string-color: #17693a;
  --md-code-hl-operator-color: #4a4f57; --md-code-hl-punctuation-color: #4a4f57; --md-code-hl-generic-color: #4a4f57;
  --md-code-hl-variable-color: #4a4f57; --md-footer-bg-color: #22272e; --md-footer-fg-color--light: #d5dae0;
  --md-footer-fg-color--lighter: #c3c9d1; }
[data-md-color-scheme="slate"] { --md-typeset-a-color: #7db8f0; --md-default-fg-color--light: #b9bfca;
  --md-default-fg-color--lighter: #a8aebb; --md-accent-fg-color: #a8d0f7; --md-code-hl-comment-color: #a8aebb;
  --md-code-hl-operator-color: #c3c9d1; --md-code-hl-punctuation-color: #c3c9d1; --md-code-hl-generic-color: #c3c9d1;
  --md-code-hl-variable-color: #c3c9d1; --md-code-hl-constant-color: #b3a6f2; --md-code-hl-number-color: #f2988c;
  --md-footer-fg-color--light: #d5dae0; --md-footer-fg-color--lighter: #c3c9d1; }
.md-typeset a:not(.md-button):not(.headerlink) { text-decoration: underline; text-underline-offset: .15em; }
.md-typeset h3 code, .md-typeset td code, .md-typeset p code, .md-typeset li code { overflow-wrap: anywhere; }
.md-typeset table:not([class]) { font-size: .7rem; }
.md-typeset table:not([class]) th { min-width: 0; }
.md-typeset table:not([class]) td { overflow-wrap: break-word; min-width: 4.5em; }
@media (max-width: 44em) {
  .md-typeset table:not([class]):not(:has(th:nth-child(5))) { display: table; font-size: .6rem; width: 100%; }
  .md-typeset table:not([class]):not(:has(th:nth-child(5))) :is(td, th) { min-width: 0; padding: .5em .4em;
    overflow-wrap: break-word; }
}
.md-typeset .networks { display: flex; flex-wrap: wrap; gap: 1rem 2rem; margin: 1rem 0; }
.md-typeset .cell .paragraph { display: block; margin: 1em 0; }
.md-typeset img.figure { width: 100%; }
.md-typeset mjx-container:not([display]) { display: inline-block; position: relative; overflow: auto hidden;
  max-width: 100%; vertical-align: middle; }
.md-typeset mjx-container > svg { max-width: none; }
.md-typeset mjx-assistive-mml { max-width: 1px; }
.tag { border: 1px solid currentColor; border-radius: 1em; font-size: .65rem; font-weight: 600; padding: .1em .7em;
  margin-right: .4em; white-space: nowrap; }
[data-md-color-scheme="default"] .tag.proved { color: #17693a; }
[data-md-color-scheme="default"] .tag.refuted { color: #a3352b; }
[data-md-color-scheme="default"] .tag.empirical, [data-md-color-scheme="default"] .tag.open { color: #5b45a5; }
[data-md-color-scheme="slate"] .tag.proved { color: #6fd39a; }
[data-md-color-scheme="slate"] .tag.refuted { color: #ff9c8f; }
[data-md-color-scheme="slate"] .tag.empirical, [data-md-color-scheme="slate"] .tag.open { color: #c0b0ff; }
"""

SCRIPT = """\
window.MathJax = {
  tex: { inlineMath: [["\\\\(", "\\\\)"]], displayMath: [["\\\\[", "\\\\]"]], processEscapes: true },
  svg: { fontCache: "local" },
  options: { enableMenu: false, ignoreHtmlClass: ".*", processHtmlClass: "arithmatex" },
};
// What scrolls sideways can be reached and scrolled with the keyboard, and says what it is.
document.addEventListener("DOMContentLoaded", () => {
  for (const box of document.querySelectorAll(".md-typeset__scrollwrap")) {
    box.tabIndex = 0;
    box.setAttribute("role", "region");
    const head = [...box.querySelectorAll("th")].map((h) => h.textContent.trim()).filter(Boolean).join(", ");
    box.setAttribute("aria-label", `table: ${head}`);
  }
  for (const box of document.querySelectorAll(".md-typeset pre > code")) box.tabIndex = 0;
  window.MathJax?.startup?.promise?.then(() => {
    for (const box of document.querySelectorAll("mjx-container")) {
      if (box.scrollWidth > box.clientWidth) box.tabIndex = 0;
    }
  });
});
"""


def write(folder: Path) -> None:
    """Write them into ``folder``.

    Raises:
        FileNotFoundError: MathJax is not there; says how to get it.
    """
    for path in SCRIPTS.values():
        if not path.exists():
            raise FileNotFoundError(f"{path.relative_to(ROOT)} is missing: run `npm ci` (it needs Node.js and npm)")
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "site.css").write_text(STYLE)
    (folder / "formulas.js").write_text(SCRIPT)
    for name, path in SCRIPTS.items():
        (folder / name).write_bytes(path.read_bytes())


def localise(site: Path) -> None:
    """Have the pages of the built site load the search's helper from the site itself."""
    for page in site.rglob("*.html"):
        text = page.read_text(encoding="utf-8")
        up = "../" * (len(page.relative_to(site).parts) - 1)
        page.write_text(text.replace(SHIM, f"{up}assets/iframe-worker.js"), encoding="utf-8")
