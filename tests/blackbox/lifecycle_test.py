"""How a server begins and ends: refusals at start, draining, stopping, and the loss of a rank."""

import http.client
import os
import re
import signal
import subprocess

import pytest
from api import COMPLETIONS, Api, joined, read_events
from cases import completion
from program import ANSWER_SECONDS, MODEL, PROGRAM, START_SECONDS, STOP_SECONDS, Server, in_threads, run, wait_for

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


class Loading:
    """A server that cannot finish loading before `finish`: its tokenizer.json is a pipe that nobody has written to."""

    def __init__(self, folder, ranks=2):
        model = folder / "model"
        model.mkdir()
        for file in MODEL.iterdir():
            (model / file.name).symlink_to(file)
        self.tokenizer = model / "tokenizer.json"
        self.tokenizer.unlink()
        os.mkfifo(self.tokenizer)
        self.server = Server(folder / "server", ranks, "--model", model, "--set", "model.name=llada-tiny")
        said = wait_for(lambda: re.search(r"listening at (\S+:(\d+));", self.server.log()), START_SECONDS, "it listens")
        self.server.url, self.server.host, self.server.port = said[1], "127.0.0.1", int(said[2])
        self.api = Api(self.server)

    def finish(self, tokenizer=(MODEL / "tokenizer.json").read_bytes()):
        self.tokenizer.write_bytes(tokenizer)


@pytest.fixture
def loading(tmp_path):
    started = Loading(tmp_path)
    yield started
    started.server.stop()


def test_a_server_that_loads_says_so_until_it_is_ready(loading):
    api, server = loading.api, loading.server
    for _ in range(2):
        assert api.get("/health/live").status == 200
        assert api.get("/metrics").status == 200
        for refused in (api.get("/health"), api.get("/v1/models"), api.post(*completion())):
            assert refused.status == 503
            assert refused.headers["retry-after"]
            assert refused.error["message"] == "the server is still loading the model"
            assert refused.error["type"] == "server_error"
    assert not server.ready_file.exists()
    assert "ready at" not in server.log()
    loading.finish()
    server.wait_until_ready()
    assert api.get("/health").status == 200
    assert api.post(*completion()).status == 200


def test_a_load_that_fails_ends_a_server_that_listens(loading):
    loading.finish(b"no JSON")
    assert loading.server.wait_for_exit() == 2
    assert "tokenizer.json: is not JSON" in loading.server.log()


def test_a_server_that_loads_stops_at_once(loading):
    assert loading.api.get("/health").status == 503
    loading.server.signal(signal.SIGTERM)
    loading.server.wait_for_exit()


def test_a_port_in_use_is_said(api):
    done = run(2, "serve", "--port", api.server.port)
    assert done.returncode == 1
    assert "model loaded" not in done.stderr  # it was said before what takes long
    assert f"127.0.0.1:{api.server.port}" in done.stderr
    assert "Address already in use" in done.stderr


BAD_OPTIONS = {
    "server.prot": ["--set", "server.prot=1"],
    "server.port": ["--port", "70000"],
    "engine.tp": ["--tp", "4"],
    "/no/such/folder": ["--port", "0", "--model", "/no/such/folder"],
    "/no/such/file": ["--config", "/no/such/file"],
}


def test_a_bad_option_ends_every_rank_and_is_named():
    calls = [lambda options=options: run(2, "serve", *options) for options in BAD_OPTIONS.values()]
    for named, done in zip(BAD_OPTIONS, in_threads(calls, count=3)):
        assert done.returncode == 2, named
        assert named in done.stderr


@pytest.mark.parametrize(
    "command", [("bench", "policies"), ("bench", "long"), ("run-batch", "-i", __file__, "-o", "/dev/null")]
)
def test_every_command_ends_alike_with_a_bad_configuration(command):
    done = run(1, *command, "--set", "engine.tp=-1")
    assert done.returncode == 2
    assert "engine.tp" in done.stderr


def test_help_names_the_defaults():
    done = subprocess.run([PROGRAM, "serve", "--help"], capture_output=True, text=True, timeout=ANSWER_SECONDS)
    assert done.returncode == 0
    assert "--port" in done.stdout and "8000" in done.stdout
