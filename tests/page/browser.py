"""A browser with the page open, and what a person does with it."""

import contextlib
import os
import shutil

import pytest
from playwright.sync_api import expect, sync_playwright
from program import ANSWER_SECONDS

QUESTION = "Ann has 12 apples. Ann buys 5 more. How many apples does Ann have now?"
ANSWER = "12 + 5 = 17\n#### 17"
LAYERS = 6

expect.set_options(timeout=ANSWER_SECONDS * 1000)


@contextlib.contextmanager
def chromium():
    """The system's: no browser is downloaded."""
    program = shutil.which("chromium")
    if program is None:
        pytest.skip("no chromium: launch/setup --tests installs it")
    options = ["--no-sandbox"] if os.geteuid() == 0 else []  # which Chromium refuses to run as root
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=options)
        try:
            yield browser
        finally:
            browser.close()


class Lane:
    def __init__(self, page, name):
        self.element = page.get_by_role("region", name=f"Lane {name}", exact=True)
        self.canvas = self.element.get_by_label("Canvas of")
        self.map = self.element.get_by_label("Refresh map of")
        self.given = self.canvas.locator(".given")
        self.tokens = self.canvas.locator(".token")
        self.masks = self.canvas.locator(".mask")
        self.columns = self.map.locator(".column")
        self.layers = self.map.locator(".layer")
        self.readout = self.element.locator("output")
        self.policy = self.element.get_by_label(f"Policy of lane {name}")

    def wait_for(self, state):
        expect(self.element).to_have_attribute("data-state", state)

    def counter(self, key):
        return self.element.locator(f"[data-counter={key}]").inner_text()


class Visit:
    """One page in a profile of its own."""

    def __init__(self, browser, url, **context):
        self.url = url
        self.complaints, self.requests = [], []
        self.context = browser.new_context(**{"viewport": {"width": 1440, "height": 900}, **context})
        self.page = self.context.new_page()
        self.page.set_default_timeout(ANSWER_SECONDS * 1000)
        self.page.on("console", self.hear)
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("dialog", lambda dialog: self.complaints.append(f"a dialog: {dialog.message}"))
        self.page.on("request", lambda request: self.requests.append(request.url))
        self.page.goto(url + "/")
        self.a, self.b = Lane(self.page, "A"), Lane(self.page, "B")
        self.question = self.page.get_by_label("Question")
        self.log = self.page.get_by_role("log")
        self.errors = self.page.get_by_role("alert")
        self.answers = self.log.locator(".answer .text")
        self.slider = self.page.get_by_label("Step shown")

    def hear(self, message):
        # An answer that is an error is one the page shows; Chromium notes it too.
        if message.type in ("error", "warning") and not message.text.startswith("Failed to load resource"):
            self.complaints.append(message.text)

    def wait_for_model(self):
        expect(self.page.locator("#model")).to_contain_text("llada-tiny")
        return self

    def ask(self, question):
        self.question.fill(question)
        self.question.press("Enter")

    def ask_and_wait(self, question):
        before = self.log.locator(".turn").count()
        self.ask(question)
        self.wait_for_answer(before)

    def wait_for_answer(self, number):
        """Until all answers to a question, counted from 0, are complete."""
        notes = self.log.locator(".turn").nth(number).locator(".note")
        expect(notes.last).to_contain_text("tokens in")

    def set(self, **fields):
        """Fills fields of the settings."""
        if self.page.locator("#settings").get_attribute("open") is None:
            self.page.get_by_text("Settings", exact=True).click()
        for name, value in fields.items():
            self.page.locator(f"#{name}").fill(str(value))

    def close(self):
        self.context.close()

    def check(self):
        assert not self.complaints
        foreign = [url for url in self.requests if not url.startswith(self.url + "/")]
        assert not foreign, "requests left the origin"
