"""Takes the pictures of docs/page.md from a server of two ranks: docs/pictures/page-light.png and page-dark.png."""

import pathlib
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.append(str(ROOT / "tests" / "blackbox"))

from browser import Visit, chromium  # noqa: E402
from playwright.sync_api import expect  # noqa: E402
from program import Server  # noqa: E402

PICTURES = ROOT / "docs" / "pictures"


def ask_long_sum(visit):
    visit.page.get_by_role("button", name="Long sum").click()
    visit.wait_for_answer(0)


def one_answer(visit):
    visit.page.get_by_label("gamma of lane A").fill("0.98")  # strict enough for a refresh here and there
    ask_long_sum(visit)
    visit.a.map.locator(".drifted").nth(4).hover()
    expect(visit.a.readout).to_contain_text("what lies above it is refreshed")


def two_policies(visit):
    visit.page.get_by_label("compare two policies").check()
    ask_long_sum(visit)
    visit.a.columns.nth(visit.a.columns.count() // 2).click()
    visit.page.mouse.move(0, 0)


def main():
    with tempfile.TemporaryDirectory() as folder, chromium() as browser:
        server = Server(pathlib.Path(folder) / "server", 2)
        try:
            url = server.wait_until_ready().url
            for name, scheme, act in [("light", "light", one_answer), ("dark", "dark", two_policies)]:
                visit = Visit(browser, url, color_scheme=scheme, viewport={"width": 1440, "height": 920})
                act(visit.wait_for_model())
                visit.page.screenshot(path=PICTURES / f"page-{name}.png")
                visit.close()
                visit.check()
        finally:
            server.stop()


if __name__ == "__main__":
    main()
