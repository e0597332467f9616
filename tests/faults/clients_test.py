"""Clients that vanish, and clients that are there when the server is told to stop."""

import concurrent.futures
import signal
import socket
import struct

import pytest

from job import LONG, Job, completion, open_stream, wait_for

CLIENTS = 200
CACHE_TOKENS = 1024


@pytest.fixture
def job(tmp_path):
    command = ["launch/serve", "--tp", 2, "--port", 0, "--set", f"engine.cache_tokens={CACHE_TOKENS}"]
    with Job(command, tmp_path) as job:
        yield job.wait_ready()


def vanish(stream, with_reset):
    """Closes a client's connection, as a process that ends does, or as a machine that does not know of it any more."""
    if with_reset:
        stream.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    stream.close()


def test_two_hundred_clients_that_vanish_leave_all_slots_free(job):
    with concurrent.futures.ThreadPoolExecutor(CLIENTS) as pool:
        streams = list(pool.map(lambda _: open_stream(job, completion(150, **LONG)), range(CLIENTS)))
    streams[0].read_event()  # some run, the others wait
    for index, stream in enumerate(streams):
        vanish(stream, with_reset=index % 2 == 0)
    assert job.complete()[0] == 200
    # Fits only where no slot is held any more.
    prompt = [100] * 24
    status, _, answer = job.request(
        "POST", "/v1/completions", {"prompt": prompt, "max_tokens": CACHE_TOKENS - len(prompt), "ignore_eos": True}
    )
    assert status == 200, answer
    assert answer["usage"]["total_tokens"] == CACHE_TOKENS


def test_a_drain_finishes_what_runs_and_refuses_what_comes(job):
    holding = open_stream(job, completion(600, **LONG))  # keeps the drain going until it is let go
    holding.read_event()
    running = [open_stream(job, completion(24, **LONG)) for _ in range(4)]
    job.process.send_signal(signal.SIGTERM)
    wait_for(lambda: job.health() == 503, "not ready")
    status, headers, answer = job.complete()
    assert status == 503, answer
    assert int(headers["Retry-After"]) > 0
    assert job.request("GET", "/health/live")[0] == 200
    for stream in running:
        assert stream.read_to_end()[-1] == "[DONE]"
    holding.close()
    status, _ = job.wait_end()
    assert status == 0, job.log


def test_a_drain_ends_at_its_deadline(tmp_path):
    with Job(["launch/serve", "--port", 0, "--set", "server.drain_timeout_s=1"], tmp_path) as job:
        stream = open_stream(job.wait_ready(), completion(900, **LONG))
        stream.read_event()
        job.process.send_signal(signal.SIGTERM)
        events = stream.read_to_end()
        assert events[-1] == "[DONE]"
        assert '"error"' in events[-2]
        status, _ = job.wait_end()
        assert status == 0, job.log


def test_a_second_signal_stops_at_once(job):
    stream = open_stream(job, completion(900, **LONG))
    stream.read_event()
    job.process.send_signal(signal.SIGTERM)
    wait_for(lambda: "draining" in job.log, "draining")
    job.process.send_signal(signal.SIGTERM)
    job.wait_end()
    assert "stopping" in job.log
