#!/usr/bin/env python3
"""Reports in a browser, at the width of a phone and of a desk. Headless Chromium (Debian's package chromium) lays out pages of a
mixture with every kind of picture, of a supervised start, of a policy that tries candidates with a grid, and of several runs.
Nothing may reach beyond the page's width but what scrolls by itself, no text beyond its picture, and headings, tables, charts and
pictures have a size. Exit status 77: there is no browser.

    python3 tests/tools/check_report.py build/wavezero tests/data/config/tiny.yaml
"""
import glob
import html
import json
import os
import shutil
import subprocess
import sys
import tempfile

program, config = map(os.path.abspath, sys.argv[1:3])
WIDTHS = 360, 1180
HIDDEN = "details:not([open])"
MEASURE = """
const frame = document.querySelector('iframe');
frame.onload = () => {
  const page = frame.contentDocument, width = page.documentElement.clientWidth;
  const beyond = [], empty = [], count = {};
  const name = e => e.tagName + ' ' + e.textContent.slice(0, 40);
  for (const e of page.querySelectorAll('main *')) {
    if (e.closest('HIDDEN')) continue;
    const box = e.getBoundingClientRect(), scrolls = e.parentElement.closest('.wide, pre, svg');
    if (box.right > width + 0.5 && !scrolls) beyond.push(name(e));
    if (!e.matches('h1, h2, h3, figure, figure > svg, .wide')) continue;
    count[e.tagName] = (count[e.tagName] || 0) + 1;
    if (box.width < 20 || box.height < 8) empty.push(name(e));
  }
  for (const e of page.querySelectorAll('svg text')) {
    const box = e.getBoundingClientRect(), all = e.ownerSVGElement.getBoundingClientRect();
    if (box.left < all.left - 1 || box.right > all.right + 1 || box.top < all.top - 1 || box.bottom > all.bottom + 1)
      beyond.push(e.ownerSVGElement.getAttribute('aria-label') + ': ' + e.textContent);
  }
  const headings = [...page.querySelectorAll('h2')].map(h => h.textContent);
  const seen = {scroll: page.documentElement.scrollWidth, width, beyond, empty, count, headings};
  document.body.textContent = 'RESULT' + JSON.stringify(seen) + 'END';
};
frame.srcdoc = PAGE;
"""
failed = 0


def run(*words):
    return subprocess.run([program, *words], check=True, capture_output=True, text=True).stdout


def lay_out(browser, page, width, folder):
    """What the browser says of the page in a frame that wide."""
    with open(page, encoding="utf-8") as file:
        text = json.dumps(file.read()).replace("</", "<\\/")
    with open(folder + "/frame.html", "w", encoding="utf-8") as file:
        file.write(f"<!DOCTYPE html><meta charset='utf-8'><iframe style='width:{width}px;height:800px;border:0'>"
                   "</iframe><script>" + MEASURE.replace("HIDDEN", HIDDEN).replace("PAGE", text) + "</script>")
    dom = subprocess.run([browser, "--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars",
                          f"--user-data-dir={folder}/profile", "--window-size=1400,900",
                          "--virtual-time-budget=10000", "--dump-dom", f"file://{folder}/frame.html"],
                         check=True, capture_output=True, text=True, timeout=120).stdout
    return json.loads(html.unescape(dom[dom.index("RESULT{") + 6:dom.index("}END") + 1]))


def check(browser, name, page, folder, headings):
    global failed
    for width in WIDTHS:
        seen = lay_out(browser, page, width, folder)
        missing = [h for h in headings if h not in seen["headings"]]
        good = seen["width"] == seen["scroll"] == width and not seen["beyond"] and not seen["empty"] and not missing
        failed += not good
        print(f"{'ok' if good else 'FAILED'}: {name} at {width} pixels: {seen['count'] if good else seen}", flush=True)


def make_runs(folder):
    short = ["train", config, "device=cpu", "eval_problems=8"]
    run(*short, f"output_dir={folder}/mixture", "max_steps=3", "eval_steps=1",
        "task_mixture=assignment,power_control:links=12,ofdma,deadline,independent_set,max_min")
    run(*short, f"output_dir={folder}/taught", "max_steps=8", "sft_steps=4", "eval_steps=2")
    run(*short, f"output_dir={folder}/tries", "max_steps=2", "verifier_tries=2")
    grid = run("eval", f"{folder}/tries/checkpoints/best.h5", "--json", "--problems", "10",
               "--grid", "task.links=3,4,70", "--grid", "verifier_tries=0,1,2,4")
    with open(f"{folder}/tries/grid.json", "w", encoding="utf-8") as file:
        file.write(grid)


def main():
    names = "chromium", "chromium-browser", "google-chrome"
    browser = next(filter(None, map(shutil.which, names)), None)
    if browser is None:
        print("skipped: no chromium (Debian: apt-get install chromium)")
        return 77
    with tempfile.TemporaryDirectory() as folder:
        make_runs(folder)
        for name, headings in (("mixture", ["Held-out evaluation", "assignment", "deadline", "max_min"]),
                               ("taught", ["Training", "Sample problems"]),
                               ("tries", ["In and out of the training distribution"])):
            run("report", f"{folder}/{name}", "--problems", "12")
            check(browser, name, f"{folder}/{name}/report.html", folder, headings)
        run("report", *(f"{folder}/{name}" for name in ("mixture", "taught", "tries")), "-o", folder + "/all.html")
        check(browser, "several runs", folder + "/all.html", folder, ["Keys that differ"])
        run("sweep", config, "device=cpu", "eval_problems=8", "max_steps=2", "learning_rate=0.001,0.002",
            "num_generations=4,8", "lr_scheduler_type=cosine,constant", "seed=1,2", "--output-dir", folder + "/sweep")
        run("report", *sorted(glob.glob(folder + "/sweep/*/")), "-o", folder + "/sweep.html")
        check(browser, "a sweep", folder + "/sweep.html", folder, ["Keys that differ"])
    return int(failed > 0)


sys.exit(main())
