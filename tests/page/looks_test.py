"""How the page behaves under hands, on screens, and towards what is typed into it."""

import re

import pytest
from browser import ANSWER, QUESTION
from playwright.sync_api import expect

MARKUP = "<img src=x onerror=alert(1)><script>alert(2)</script> &amp; {{1+1}}"


def test_what_is_typed_stays_text(visit):
    visit.ask_and_wait(MARKUP)
    assert visit.log.locator(".question").inner_text() == MARKUP
    assert "".join(visit.a.given.all_inner_texts()).replace("·", " ").count("<img src=x onerror=alert(1)>") == 1
    assert visit.page.locator("main img, body script").count() == 0
    assert not any("/x" in url for url in visit.requests)


def test_the_policy_forbids_inline_script_and_style(visit):
    attempts = """() => {
      const broken = [];
      const attempt = (name, act) => { try { act(); } catch { broken.push(name); } };
      attempt("markup", () => { document.body.innerHTML += "<b>x</b>"; });
      attempt("script", () => { document.createElement("script").textContent = "window.ran = true"; });
      document.body.setAttribute("style", "margin: 77px");
      return [broken, getComputedStyle(document.body).marginLeft];
    }"""
    assert visit.page.evaluate(attempts) == [["markup", "script"], "0px"]
    assert any("Content Security Policy" in complaint for complaint in visit.complaints)
    visit.complaints.clear()


def test_nothing_but_this_server_is_asked(visit):
    visit.ask_and_wait(QUESTION)
    paths = {url.removeprefix(visit.url) for url in visit.requests}
    assert {"/", "/page/main.js", "/page/style.css", "/page/icon.svg", "/tokenize", "/v1/chat/completions"} <= paths
    # What `check` would see, were it otherwise.
    blocked = "() => fetch('http://127.0.0.1:9/').then(() => 'sent', () => 'blocked')"
    assert visit.page.evaluate(blocked) == "blocked"
    assert any("connect-src" in complaint for complaint in visit.complaints)
    visit.complaints.clear()
    visit.requests = [url for url in visit.requests if ":9/" not in url]


def test_it_works_without_a_mouse(visit):
    expect(visit.question).to_be_focused()
    visit.page.keyboard.type("Ann has 12 apples.")
    visit.page.keyboard.press("Shift+Enter")
    expect(visit.question).to_have_value("Ann has 12 apples.\n")
    visit.question.fill(QUESTION)
    visit.page.keyboard.press("Enter")
    visit.a.wait_for("done")
    visit.a.canvas.focus()
    visit.page.keyboard.press("ArrowRight")
    expect(visit.a.readout).to_contain_text("position 31 ·")
    visit.page.keyboard.press("ArrowRight")
    expect(visit.a.readout).to_contain_text("position 32 ·")
    visit.page.keyboard.press("Tab")
    expect(visit.a.map).to_be_focused()
    for key in ("ArrowRight", "ArrowUp", "ArrowUp"):
        visit.page.keyboard.press(key)
    expect(visit.a.readout).to_contain_text("step 0 · layer 2 · computed (full forward)")
    visit.page.keyboard.press("Enter")
    expect(visit.a.columns.first).to_have_class(re.compile("current"))


def test_every_control_is_reached_by_tab_and_has_a_name(visit):
    visit.ask_and_wait(QUESTION)
    visit.set()
    controls = visit.page.locator("button:visible, input:visible, select:visible, textarea:visible, summary")
    missing = set(controls.evaluate_all("found => found.filter(c => !c.disabled).map(c => c.id || c.name || c.textContent)"))
    visit.page.locator("body").evaluate("body => { document.activeElement.blur(); }")
    name = """e => {
      const label = e.labels?.[0]?.textContent.trim();
      return [e.id || e.name || e.textContent, e.getAttribute("aria-label") || label || e.textContent.trim() || e.title];
    }"""
    for _ in range(60):
        visit.page.keyboard.press("Tab")
        found, called = visit.page.evaluate(f"() => ({name})(document.activeElement)")
        missing.discard(found)
        assert called, f"{found} has no name"
    assert not missing


@pytest.mark.parametrize("width", [320, 390, 768, 1024])
def test_narrow_screens_have_all_of_it(open_page, server, width):
    visit = open_page(server.server.url, viewport={"width": width, "height": 800}).wait_for_model()
    visit.page.get_by_label("compare two policies").check()
    visit.ask_and_wait(QUESTION)
    visit.b.wait_for("done")
    assert visit.answers.first.inner_text() == ANSWER
    assert visit.page.evaluate("() => document.documentElement.scrollWidth") <= width
    for lane in (visit.a, visit.b):
        for part in (lane.canvas, lane.map, lane.readout):
            box = part.bounding_box()
            assert box["x"] >= 0 and box["x"] + box["width"] <= width and box["height"] > 10


def lightness(visit, selector="body"):
    """0 to 1, of an element's background, as it is painted."""
    paint = """e => {
      const canvas = document.createElement("canvas");
      const context = canvas.getContext("2d");
      context.fillStyle = getComputedStyle(e).backgroundColor;
      context.fillRect(0, 0, 1, 1);
      const [r, g, b] = context.getImageData(0, 0, 1, 1).data;
      return (0.2126 * r + 0.7152 * g + 0.0722 * b) / 255;
    }"""
    return visit.page.locator(selector).first.evaluate(paint)


def test_it_follows_the_systems_dark_and_light(open_page, server):
    light = open_page(server.server.url, color_scheme="light").wait_for_model()
    dark = open_page(server.server.url, color_scheme="dark").wait_for_model()
    for visit in (light, dark):
        visit.ask_and_wait(QUESTION)
    assert lightness(light) > 0.9 > 0.1 > lightness(dark)
    assert lightness(light, ".cell.token") > 0.5 > lightness(dark, ".cell.token")


def test_dark_and_light_can_be_switched(visit):
    switch = visit.page.get_by_role("button", name="Dark or light")
    before = lightness(visit)
    switch.click()
    assert lightness(visit) < 0.1 < before
    switch.click()
    assert lightness(visit) == before
