"""How a server begins and ends: refusals at start, draining, stopping, and the loss of a rank."""

import http.client
import os
import signal
import subprocess

import pytest
from api import COMPLETIONS, joined, read_events
from cases import completion
from program import ANSWER_SECONDS, PROGRAM, STOP_SECONDS, in_threads, run, wait_for

# Long enough that it is still running when the test has done what it wants to do meanwhile.
LONG = {"prompt": "a", "max_tokens": 300, "ignore_eos": True, "diffusion": {"threshold": None, "trace": True}}


def begin_long(api):
    stream = api.open_stream(COMPLETIONS, LONG)
    assert stream.next_event()
    return stream


def wait_for_log(api, text):
    wait_for(lambda: text in api.server.log(), STOP_SECONDS, f"the log says {text!r}")


def test_draining_finishes_what_runs_and_refuses_what_is_new(start_server):
    api = start_server(2)
    kept = api.connect()
    assert api.get("/health", connection=kept).status == 200
    stream = begin_long(api)
    api.server.signal(signal.SIGUSR1)
    wait_for_log(api, "draining")
    for connection in (kept, None):  # an open connection, a new one
        refused = api.post(*completion(), connection=connection)
        assert refused.status == 503
        assert refused.error["type"] == "server_error"
        assert api.get("/health", connection=connection).status == 503
        assert api.get("/health/live", connection=connection).status == 200
    answer = joined(COMPLETIONS, stream.finish())
    commits = [commit for entry in answer["choices"][0]["diffusion"]["trace"] for commit in entry["committed"]]
    assert len(commits) == LONG["max_tokens"]
    assert api.server.wait_for_exit() == 0


def test_an_idle_server_drains_at_once(start_server):
    api = start_server(2)
    api.server.signal(signal.SIGUSR1)
    assert api.server.wait_for_exit() == 0


def test_a_second_signal_ends_what_runs(start_server):
    api = start_server(2)
    stream = begin_long(api)
    api.server.signal(signal.SIGUSR1)
    wait_for_log(api, "draining")
    api.server.signal(signal.SIGUSR1)
    while stream.next_event() is not None:
        pass
    *_, failure = read_events(stream.received)  # ends with [DONE] after an error, too
    assert failure["error"]["type"] == "server_error"
    assert api.server.wait_for_exit() == 0


def lose_rank_1(api, number):
    """Stops rank 1 under load; the exit status of the job, and what it said."""
    stream = begin_long(api)
    os.kill(api.server.rank_pids()[1], number)
    status = api.server.wait_for_exit()
    with pytest.raises((http.client.HTTPException, OSError, AssertionError)):
        while stream.next_event() is not None:
            pass
        read_events(stream.received)
    stream.leave()
    return status, api.server.log()


def test_a_rank_that_dies_ends_the_job_and_is_named(start_server):
    status, log = lose_rank_1(start_server(2), signal.SIGKILL)
    assert status == 137
    assert "process rank 1 with PID" in log


def test_a_rank_that_hangs_ends_the_job_and_is_named(start_server):
    status, log = lose_rank_1(start_server(2, "--set", "engine.watchdog_s=1"), signal.SIGSTOP)
    assert status == 70
    assert "rank 1 does not answer" in log


def test_a_port_in_use_is_said(api):
    done = run(2, "serve", "--port", api.server.port)
    assert done.returncode != 0
    assert f"127.0.0.1:{api.server.port}" in done.stderr
    assert "Address already in use" in done.stderr


BAD_OPTIONS = {
    "server.prot": ["--set", "server.prot=1"],
    "server.port": ["--port", "70000"],
    "engine.tp": ["--tp", "4"],
    "/no/such/folder": ["--model", "/no/such/folder"],
    "/no/such/file": ["--config", "/no/such/file"],
}


def test_a_bad_option_ends_every_rank_and_is_named():
    calls = [lambda options=options: run(2, "serve", *options) for options in BAD_OPTIONS.values()]
    for named, done in zip(BAD_OPTIONS, in_threads(calls, count=3)):
        assert done.returncode != 0, named
        assert named in done.stderr


def test_help_names_the_defaults():
    done = subprocess.run([PROGRAM, "serve", "--help"], capture_output=True, text=True, timeout=ANSWER_SECONDS)
    assert done.returncode == 0
    assert "--port" in done.stdout and "8000" in done.stdout
