"""Measured times are shown, not asserted: how fast a busy machine is says nothing of the code."""

import pytest

measured = []


@pytest.fixture
def measure():
    return lambda what, seconds: measured.append(f"{seconds:5.1f} s  {what}")


def pytest_terminal_summary(terminalreporter):
    if measured:
        terminalreporter.section("measured")
        terminalreporter.write_line("\n".join(measured))
