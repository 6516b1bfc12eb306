"""Takes the pictures of the explorer that the documentation shows, in Chromium, from the results of a run.

    python docs/explorer_pictures.py results/laptop
    python docs/explorer_pictures.py results/smoke agents    # that view alone, of a run that `agentomy import` wrote

A view a picture, and a moving one: an agent that passes the cheese, shown by the maze view's own button.
"""

import argparse
import io
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from PIL import Image
from playwright.sync_api import Page, sync_playwright

ROOT = Path(__file__).parents[1]
PICTURES = ROOT / "docs" / "pictures"
# tab → file
VIEWS = {
    "overview": "overview",
    "maze": "maze",
    "along training": "training",
    "pixel groups": "groups",
    "path": "path",
    "memory": "memory",
    "claims": "claims",
}
OWN = {"agents": "agents"}  # of an imported agent, which no study of the package has: taken when it is named
WINDOW = {"width": 1280, "height": 900}
MOVING = {"width": 1000, "height": 720}
AWAY = 14  # steps of the point from the snapshot, so that the two policies differ
FRAMES, PACE = 26, 0.25  # s a frame, about the pace of the view
COLOURS = 256


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("results", type=Path, help="such as results/laptop")
    parser.add_argument("views", nargs="*", help="these views alone: a tab, or agents")
    given = parser.parse_args()
    results, named = given.results.absolute(), {view: (VIEWS | OWN)[view] for view in given.views}
    with serving(results) as address, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        page = opened(browser.new_page(viewport=WINDOW), address)
        for view, name in (named or VIEWS).items():
            turn_to(page, view)
            if view == "path":
                play_path(page)
            page.screenshot(path=PICTURES / f"explorer-{name}.png")
        if named:
            return
        turn_to(page, "path")
        choose(page, "path-run", "maze: region-2")
        play_path(page)
        page.screenshot(path=PICTURES / "explorer-path-maze.png")
        page = opened(browser.new_page(viewport=MOVING), address)
        turn_to(page, "maze")
        save_moving(page, PICTURES / "explorer.gif")
        browser.close()


@contextmanager
def serving(results: Path) -> Iterator[str]:
    """The address at which the explorer shows these results."""
    command = [sys.executable, "-m", "agentomy.explorer.server", "--scale", results.name]
    folder = results.parent
    command += ["--results", str(folder.relative_to(ROOT) if folder.is_relative_to(ROOT) else folder)]
    environment = os.environ | {"PYTHONPATH": str(ROOT / "workflow")}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment, cwd=ROOT) as process:
        yield process.stdout.readline().split()[4]
        process.terminate()


def opened(page: Page, address: str) -> Page:
    page.goto(address)
    page.wait_for_function("typeof Bokeh !== 'undefined' && Bokeh.documents[0]?.get_model_by_name('tabs')")
    return page


def turn_to(page: Page, view: str) -> None:
    """Open the tab of a view, and wait until it is drawn."""
    page.locator(".bk-tab").get_by_text(view, exact=True).click()
    page.wait_for_function("""view => {
      const tabs = Bokeh.documents[0].get_model_by_name("tabs"), {title, child} = tabs.tabs[tabs.active]
      return title === view && child.text !== "reading the results …"
    }""", arg=view, timeout=120_000)  # fmt: skip
    settle(page)


def settle(page: Page) -> None:
    page.wait_for_timeout(500)
    page.wait_for_function("Bokeh.documents[0].is_idle", timeout=120_000)
    page.wait_for_timeout(4000)


def choose(page: Page, name: str, value: str) -> None:
    """Set a widget, and wait until what follows is drawn."""
    page.evaluate("([name, value]) => { Bokeh.documents[0].get_model_by_name(name).value = value }", [name, value])
    settle(page)


def play_path(page: Page) -> None:
    """Let two policies play, that of the snapshot and one beside it."""
    page.evaluate("document.activeElement.blur()")  # keys that a button has are its own
    for _ in range(AWAY):
        page.keyboard.press("ArrowLeft")
    page.locator(".bk-btn").get_by_text("play it").click()
    settle(page)


def save_moving(page: Page, path: Path) -> None:
    """The way of the mouse, from a click on *show me* on."""
    page.locator(".bk-btn").get_by_text("show me").first.click()
    frames = []
    for _ in range(FRAMES):
        page.wait_for_timeout(1000 * PACE)
        frames.append(Image.open(io.BytesIO(page.screenshot())).convert("RGB"))
    palette = frames[-1].quantize(COLOURS)
    frames = [frame.quantize(palette=palette, dither=Image.Dither.NONE) for frame in frames]
    frames[0].save(path, save_all=True, append_images=frames[1:], duration=1000 * PACE, loop=0, optimize=True)


if __name__ == "__main__":
    main()
