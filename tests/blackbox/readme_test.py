"""The examples of README.md and docs/api.md do what the page says."""

import json
import os
import re
import shlex
import subprocess
import sys

import pytest
from cases import assert_same
from program import ANSWER_SECONDS, ROOT

PAGE_URL = "http://127.0.0.1:8000"
BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def blocks(page):
    """The fenced blocks of a page as (language, text)."""
    return BLOCK.findall((ROOT / page).read_text())


def split_command(text):
    """A block `$ command ... output` as its command, which may span lines, and its output."""
    lines = text.removeprefix("$ ").splitlines()
    for count in range(1, len(lines) + 1):
        command = "\n".join(lines[:count])
        try:
            shlex.split(command)
        except ValueError:  # a quotation is still open
            continue
        return command, "\n".join(lines[count:])
    raise AssertionError(f"no whole command in {text}")


def run(command, **options):
    done = subprocess.run(command, capture_output=True, text=True, timeout=ANSWER_SECONDS, cwd=ROOT, **options)
    assert done.returncode == 0, done.stderr
    return done.stdout


CURL_EXAMPLES = [
    (page, text) for page in ("README.md", "docs/api.md") for _, text in blocks(page) if text.startswith("$ curl")
]


@pytest.mark.parametrize("page, text", CURL_EXAMPLES, ids=[page for page, _ in CURL_EXAMPLES])
def test_a_curl_example_gives_what_the_page_shows(api, page, text):
    command, shown = split_command(text)
    printed = run(command.replace(PAGE_URL, api.server.url), shell=True)
    # The page breaks the line, and begins the next with a space.
    assert_same(json.loads(printed), json.loads(shown.replace("\n ", "")))


def test_the_python_example_prints_what_the_readme_says(api):
    readme = blocks("README.md")
    at = next(i for i, (language, _) in enumerate(readme) if language == "python")
    script = readme[at][1].replace(PAGE_URL, api.server.url)
    printed = run([sys.executable, "-c", script], env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1"})
    assert printed == readme[at + 1][1]


def test_both_pages_have_examples():
    assert {page for page, _ in CURL_EXAMPLES} == {"README.md", "docs/api.md"}
