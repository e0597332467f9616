"""Debian's Chromium, a server of two ranks, and a page that watches itself: after every test nothing may have been
blocked by its Content-Security-Policy, nothing thrown, nothing asked of another origin."""

import pathlib
import sys

import pytest

sys.path.append(str(pathlib.Path(__file__).parents[1] / "blackbox"))

from api import Api  # noqa: E402
from browser import Visit, chromium  # noqa: E402
from program import PROGRAM, Server  # noqa: E402


@pytest.fixture(scope="session")
def server(tmp_path_factory):
    assert PROGRAM.exists(), f"{PROGRAM} is not built"
    started = Server(tmp_path_factory.mktemp("page") / "server", 2)
    try:
        yield Api(started.wait_until_ready())
        assert started.process.poll() is None, f"the server ended:\n{started.log()}"
    finally:
        started.stop()


@pytest.fixture(scope="session")
def browser():
    with chromium() as started:
        yield started


@pytest.fixture
def open_page(browser):
    """open_page(url, **of the browser's context): a Visit."""
    visits = []

    def visit(url, **context):
        visits.append(Visit(browser, url, **context))
        return visits[-1]

    yield visit
    for one in visits:
        one.close()
    for one in visits:
        one.check()


@pytest.fixture
def visit(open_page, server):
    """The page as a visitor meets it, once it knows its model."""
    return open_page(server.server.url).wait_for_model()
