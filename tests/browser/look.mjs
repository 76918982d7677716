// A headless Chromium that looks at pages: one request a line on stdin, one answer a line on stdout, both JSON.
//
// request: {url, width, height, scheme, shot, script}      scheme: "light" or "dark"; shot: file for a screenshot, or ""
// answer:  {violations: [{id, impact, help, where: [..]}], wide, outside: [url], errors: [text], value} or {error}
import { createRequire } from "node:module";
import { readFileSync } from "node:fs";
import { createInterface } from "node:readline";

const require = createRequire(new URL("../../package.json", import.meta.url));
const { chromium } = require("playwright-core");
const axe = readFileSync(require.resolve("axe-core/axe.min.js"), "utf8");
const LEVELS = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"];

const browser = await chromium.launch({
  executablePath: process.argv[2],
  args: ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync", "--allow-file-access-from-files"],
});

async function look({ url, width, height, scheme, shot, script }) {
  const context = await browser.newContext({ viewport: { width, height }, colorScheme: scheme, reducedMotion: "reduce" });
  const page = await context.newPage();
  const outside = [], errors = [];
  page.on("pageerror", (e) => errors.push(String(e)));
  page.on("console", (m) => m.type() === "error" && errors.push(m.text()));
  const here = new URL(url).origin;
  await page.route("**/*", (route) => {
    const wanted = route.request().url();
    if (/^(data|blob|file|about):/.test(wanted) || new URL(wanted).origin === here) return route.continue();
    outside.push(wanted);
    return route.abort();
  });
  try {
    await page.goto(url, { waitUntil: "load" });
    // Formulas are set after loading; what is there afterwards is what a reader sees.
    await page.evaluate(() => window.MathJax?.startup?.promise);
    await page.waitForTimeout(150);
    const value = script ? await page.evaluate(script) : null;
    await page.evaluate(axe);
    const found = await page.evaluate((tags) => axe.run(document, { runOnly: tags, resultTypes: ["violations"] }), LEVELS);
    const wide = await page.evaluate(() => {
      const room = document.documentElement.clientWidth;
      if (document.documentElement.scrollWidth <= room) return [];
      const over = [...document.body.querySelectorAll("*")].filter((e) => e.getBoundingClientRect().right > room + 1);
      return over.filter((e) => !over.some((o) => o !== e && e.contains(o))).slice(0, 5).map((e) => e.outerHTML.slice(0, 120));
    });
    if (shot) await page.screenshot({ path: shot, fullPage: true });
    const violations = found.violations.map((v) => ({
      id: v.id, impact: v.impact, help: v.help,
      where: v.nodes.slice(0, 5).map((n) => `${n.target.join(" ")}: ${n.html.slice(0, 160)}: ${(n.failureSummary ?? "").split("\n").slice(1).join(" ").trim()}`),
    }));
    return { violations, wide, outside, errors, value };
  } finally {
    await context.close();
  }
}

for await (const line of createInterface({ input: process.stdin })) {
  let answer;
  try {
    answer = await look(JSON.parse(line));
  } catch (e) {
    answer = { error: String(e) };
  }
  process.stdout.write(JSON.stringify(answer) + "\n");
}
await browser.close();
