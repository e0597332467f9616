"""Five hundred streams at once against the whole program. What a slow reader meets is in tests/http/many_streams_test.cpp."""

import pytest
from api import CHAT, Api, joined, texts
from cases import QUESTIONS, messages
from limits_test import begin_endless
from program import ANSWER_SECONDS, Server, in_threads, wait_for

STREAMS = 500
ROOM = {"engine.cache_tokens": 1024, "engine.max_queued": 600, "server.drain_timeout_s": 5}


@pytest.fixture(scope="module")
def crowded(tmp_path_factory):
    settings = [part for key, value in ROOM.items() for part in ("--set", f"{key}={value}")]
    server = Server(tmp_path_factory.mktemp("crowded") / "server", 2, *settings)
    try:
        yield Api(server.wait_until_ready())
        assert server.process.poll() is None, server.log()
    finally:
        server.stop()


def body(number):
    return {"messages": messages(QUESTIONS[number % len(QUESTIONS)]), "max_tokens": 16}


def test_five_hundred_streams_are_open_at_once_and_each_gets_its_own_answer(crowded):
    alone = [texts(crowded.answer(CHAT, body(number))) for number in range(len(QUESTIONS))]
    held = begin_endless(crowded)  # has nearly the whole cache: nobody else can begin
    streams = in_threads([lambda n=n: crowded.open_stream(CHAT, body(n)) for n in range(STREAMS)])

    def all_wait():
        load = crowded.get("/load").json
        return (load["server_load"], load["running"], load["waiting"]) == (STREAMS + 1, 1, STREAMS)

    wait_for(all_wait, ANSWER_SECONDS, "all streams are open at once")
    held.leave()
    for number, stream in enumerate(streams):
        assert texts(joined(CHAT, stream.finish())) == alone[number % len(QUESTIONS)], number

    def all_over():
        load = crowded.get("/load").json
        return (load["cache_tokens_used"], load["server_load"]) == (0, 0)

    wait_for(all_over, ANSWER_SECONDS, "all slots are free again")
