"""Take pictures of the page of `recognizer serve` with the examples that ship, as the README shows them.

    python scripts/draw_workbench.py [-o scripts/pictures]

Needs Playwright (`pip install playwright`), and Debian's Chromium and the font of the page (`apt install chromium fonts-inter`).
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path
from typing import Any

import httpx
from bench_serve import EXAMPLES, serving
from playwright.sync_api import Browser, Page, sync_playwright

CHROMIUM = "/usr/bin/chromium"
WIDE, NARROW = {"width": 1200, "height": 700}, {"width": 360, "height": 700}


def add_examples(url: str) -> dict[str, str]:
    """Put the examples into the project and wait until they are read; their ids by name."""
    with httpx.Client(base_url=url, timeout=300) as client:
        files = [("files", (path.name, path.read_bytes())) for path in sorted(EXAMPLES.iterdir()) if path.suffix in (".opus", ".webp")]
        client.post("/api/items", files=files).raise_for_status()
        while client.get("/api/project").json()["counts"]["new"]:
            time.sleep(0.2)
        return {item["name"]: item["id"] for item in client.get("/api/items").json()["items"]}


def open_item(browser: Browser, url: str, id: str, **options: Any) -> Page:
    """A page with an item and the focus on its first doubtful word."""
    page = browser.new_page(**options)
    page.add_init_script("HTMLMediaElement.prototype.play = () => Promise.resolve()")  # nothing moves in a picture
    page.goto(f"{url}/#{id}")
    page.wait_for_selector("html[data-ready]")
    doubtful = page.locator("#words .word.doubtful, #words .word.unsure").first
    doubtful.evaluate("word => word.focus()")
    page.locator(".mark.chosen").wait_for()
    return page


def main() -> None:
    """Draw all of them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-o", "--output-dir", type=Path, default=Path(__file__).parent / "pictures")
    folder = parser.parse_args().output_dir
    with tempfile.TemporaryDirectory() as name, serving(f"{name}/Examples") as server, sync_playwright() as playwright:
        ids = add_examples(server.url)
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--mute-audio"])
        line = open_item(browser, server.url, ids["great-north-run.webp"], viewport=WIDE, color_scheme="light")
        line.keyboard.press("ArrowDown")  # what else it may be
        line.locator("#choices").wait_for()
        audio = open_item(browser, server.url, ids["let-me-go.opus"], viewport=WIDE, color_scheme="light")
        narrow = open_item(browser, server.url, ids["let-me-go.opus"], viewport=NARROW, color_scheme="dark", device_scale_factor=2)
        for name, page in (("line", line), ("audio", audio), ("dark_narrow", narrow)):
            page.screenshot(path=folder / f"workbench_{name}.png")
        browser.close()


if __name__ == "__main__":
    main()
