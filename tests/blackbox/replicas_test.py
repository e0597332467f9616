"""Several replicas behind one front end: the answers of one, and one life."""

import os
import signal

import pytest
from api import COMPLETIONS, joined
from cases import ALL, assert_same
from program import in_threads

LONG = {"prompt": "a", "max_tokens": 500, "ignore_eos": True, "diffusion": {"threshold": None, "trace": True}}


@pytest.mark.parametrize("tp, replicas", [(2, 2), (1, 3)])
def test_replicas_answer_like_one_rank_and_drain_together(start_server, servers, tp, replicas):
    api = start_server(tp * replicas, "--tp", tp, "--replicas", replicas)
    calls = [lambda p=path, b=body: api.answer(p, b) for path, body in ALL.values()]
    for (name, (path, body)), answer in zip(ALL.items(), in_threads(calls, count=8)):
        assert_same(answer, servers[1].answer(path, body), name)
    # As many as there are replicas, so that one runs on each: every replica finishes what it has.
    streams = [api.open_stream(COMPLETIONS, LONG) for _ in range(replicas)]
    for stream in streams:
        assert stream.next_event()
    api.server.signal(signal.SIGUSR1)
    for stream in streams:
        answer = joined(COMPLETIONS, stream.finish())
        trace = answer["choices"][0]["diffusion"]["trace"]
        assert sum(len(entry["committed"]) for entry in trace) == LONG["max_tokens"]
    assert api.server.wait_for_exit() == 0


@pytest.mark.parametrize(
    "number, status, message",
    [(signal.SIGKILL, 137, "process rank 1 with PID"), (signal.SIGSTOP, 70, "rank 1 does not answer")],
)
def test_losing_another_replicas_only_rank_ends_the_job_and_names_it(start_server, number, status, message):
    api = start_server(2, "--tp", 1, "--replicas", 2, "--set", "engine.watchdog_s=1")
    os.kill(api.server.rank_pids()[1], number)
    assert api.server.wait_for_exit() == status
    assert message in api.server.log()
