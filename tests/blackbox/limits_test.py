"""A server with tight limits: too large, too slow, too many; and what a client leaves behind when it goes."""

import json
import socket
import struct

import pytest
from api import COMPLETIONS, Api
from cases import chat, completion
from http_test import get_bytes, parse, post_bytes
from program import ANSWER_SECONDS, Server, wait_for

LIMITS = {
    "model.name": "org/tiny",
    "server.max_body_bytes": 4096,
    "server.max_header_bytes": 2048,
    "server.max_header_fields": 20,
    "server.max_json_depth": 8,
    "server.request_timeout_s": 1,
    "server.idle_timeout_s": 1,
    "engine.max_sequences": 1,
    "engine.max_queued": 20,
    "decoding.policy": "prefix",
    "decoding.threshold": 0.8,
}


@pytest.fixture(scope="module")
def limited(tmp_path_factory):
    settings = [part for key, value in LIMITS.items() for part in ("--set", f"{key}={value}")]
    server = Server(tmp_path_factory.mktemp("limited") / "server", 1, *settings)
    try:
        yield Api(server.wait_until_ready())
        assert server.process.poll() is None, server.log()
    finally:
        server.stop()


def test_the_configuration_makes_the_defaults(limited):
    diffusion = limited.answer(*chat())["choices"][0]["diffusion"]
    assert (diffusion["policy"], diffusion["threshold"]) == ("prefix", 0.8)


def test_a_model_name_may_have_a_slash(limited):
    model = limited.get("/v1/models").json["data"][0]
    assert model["id"] == "org/tiny"
    assert limited.get("/v1/models/org/tiny").json == limited.get("/v1/models/org%2Ftiny").json == model
    assert limited.answer(*chat(model="org/tiny"))["model"] == "org/tiny"


# Too large


def test_a_body_over_the_limit_is_413(limited):
    path, body = completion()
    assert limited.post(path, {**body, "user": "u" * 500}).status == 200
    answer = limited.post(path, {**body, "user": "u" * 4096})
    assert answer.status == 413
    assert "4096" in answer.error["message"]


def test_413_can_be_read_by_who_sends_on(limited):
    """The whole of a far too large body is sent before the answer is read."""
    size = 8 << 20
    status, fields, _ = parse(limited.raw(post_bytes("x" * size)))
    assert (status, fields["connection"]) == (413, "close")


def test_chunks_over_the_limit_are_413(limited):
    chunks = "1000\r\n" + "x" * 4096 + "\r\n1000\r\n" + "x" * 4096 + "\r\n0\r\n\r\n"
    status, _, _ = parse(limited.raw(post_bytes(chunks, "Transfer-Encoding: chunked", length=False)))
    assert status == 413


@pytest.mark.parametrize("fields", [["X: " + "a" * 4000], [f"X{i}: a" for i in range(30)]], ids=["bytes", "count"])
def test_a_header_over_the_limit_is_431(limited, fields):
    status, answered, body = parse(limited.raw(get_bytes("/health", *fields)))
    assert (status, answered["connection"]) == (431, "close")
    assert json.loads(body)["error"]["type"] == "invalid_request_error"


def test_json_over_the_depth_is_400(limited):
    deep = "[" * 9 + "]" * 9
    assert limited.refusal(COMPLETIONS, f'{{"prompt": "a", "x": {deep}}}'.encode())["param"] is None
    flat = "[" * 6 + "]" * 6
    assert limited.post(COMPLETIONS, f'{{"prompt": "a", "x": {flat}}}'.encode()).status == 200


# Too slow


@pytest.mark.parametrize("sent", [b"GET /health HT", post_bytes()[:-3]], ids=["header", "body"])
def test_a_request_that_does_not_arrive_is_408(limited, sent):
    status, fields, body = parse(limited.raw(sent))
    assert (status, fields["connection"]) == (408, "close")
    assert json.loads(body)["error"]["type"] == "invalid_request_error"


def test_an_idle_connection_is_closed_without_a_word(limited):
    assert limited.raw(b"") == b""
    received = limited.raw(get_bytes("/version"))  # served, then closed when nothing follows
    assert parse(received)[0] == 200
    assert received.count(b"HTTP/1.1") == 1


# Too many, and gone
#
# One sequence runs at a time here, and each of these would take a thousand full forwards: while one is held, nothing
# else is answered; when its client leaves, its place and its queue are free.

ENDLESS = {"prompt": "a", "max_tokens": 1000, "ignore_eos": True, "diffusion": {"policy": "none", "threshold": None}}


def begin_endless(api, **fields):
    stream = api.open_stream(COMPLETIONS, {**ENDLESS, **fields, "diffusion": {**ENDLESS["diffusion"], "trace": True}})
    assert stream.next_event()
    return stream


def assert_answers(api):
    """A place and the queue are free, as soon as the step under way is over."""
    wait_for(lambda: api.post(*completion(max_tokens=4)).status == 200, ANSWER_SECONDS, "a place is free")


def test_a_full_queue_is_429_and_says_when_to_come_back(limited):
    stream = begin_endless(limited, n=16)
    answer = limited.post(COMPLETIONS, {**ENDLESS, "n": 6})
    assert answer.status == 429  # its Retry-After is checked with every answer
    assert answer.error["type"] == "rate_limit_error"
    stream.leave()
    assert_answers(limited)


def test_more_choices_than_the_queue_can_ever_hold_are_400(limited):
    path, body = completion()
    error = limited.refusal(path, {**body, "prompt": ["a"] * 3, "n": 7})
    assert error["param"] == "n"
    assert "21 choices" in error["message"] and "at most 20" in error["message"]
    assert limited.refusal(path, {**body, "prompt": ["a"] * 21})["param"] == "prompt"


def leave_stream(api):
    begin_endless(api, n=8).leave()


def leave_stream_by_reset(api):
    stream = begin_endless(api, n=8)
    stream.connection.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    stream.leave()


def leave_answer(api, unread=b""):
    with api.open_socket() as connection:
        connection.sendall(post_bytes(json.dumps({**ENDLESS, "n": 8})) + unread)
        # Requests are taken up in turn: when this one is answered, the one before is under way.
        assert api.get("/version").status == 200


def leave_answer_and_a_further_request(api):
    leave_answer(api, unread=get_bytes("/version"))


def leave_queued_stream(api):
    held = begin_endless(api)
    waiting = api.open_stream(COMPLETIONS, {**ENDLESS, "n": 8})
    waiting.leave()
    held.leave()


LEAVING = [leave_stream, leave_stream_by_reset, leave_answer, leave_answer_and_a_further_request, leave_queued_stream]


@pytest.mark.parametrize("leave", LEAVING, ids=lambda leave: leave.__name__)
def test_who_leaves_frees_its_place_at_once(limited, leave):
    leave(limited)
    assert_answers(limited)
