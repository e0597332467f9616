"""The protocol below the API: routes, methods, headers, connections, malformed requests."""

import json
import subprocess

import pytest
from api import CHAT, COMPLETIONS, JSON_TYPE, read_to_end, texts
from cases import chat, completion
from program import PROGRAM, in_threads

GET_ROUTES = ["/health", "/health/live", "/version", "/v1/models", "/v1/models/llada-tiny"]
POST_ROUTES = [CHAT, COMPLETIONS]
BODY = json.dumps({"prompt": "a", "max_tokens": 4})


def post_bytes(body=BODY, *fields, version="1.1", length=True):
    """A POST to /v1/completions as it goes over the wire."""
    content_length = [f"Content-Length: {len(body)}"] if length else []
    lines = [f"POST {COMPLETIONS} HTTP/{version}", "Host: x", "Content-Type: application/json", *content_length]
    return "\r\n".join([*lines, *fields, "", body]).encode()


def get_bytes(path="/health", *fields, version="1.1"):
    return "\r\n".join([f"GET {path} HTTP/{version}", "Host: x", *fields, "", ""]).encode()


def parse(received):
    """A single raw answer: its status, its fields and its body."""
    head, _, body = received.partition(b"\r\n\r\n")
    status, *lines = head.decode().split("\r\n")
    fields = dict(line.split(": ", 1) for line in lines)
    return int(status.split()[1]), {name.lower(): value for name, value in fields.items()}, body


# Routes and methods


def test_health_says_ready(api):
    assert (api.get("/health").status, api.get("/health").json) == (200, {"status": "ready"})
    assert (api.get("/health/live").status, api.get("/health/live").json) == (200, {"status": "live"})


def test_version_is_the_programs_and_nothing_else(api):
    printed = subprocess.run([PROGRAM, "--version"], capture_output=True, text=True, check=True).stdout
    assert api.get("/version").json == {"version": printed.split()[1]}


def test_models_are_listed_and_found_by_id(api):
    listed = api.get("/v1/models").json
    assert [model["id"] for model in listed["data"]] == ["llada-tiny"]
    for path in ("/v1/models/llada-tiny", "/v1/models/llada%2Dtiny", "/v1/models/llada-tiny?x=1"):
        assert api.get(path).json == listed["data"][0]


def test_a_model_that_is_not_served_is_404(api):
    answer = api.get("/v1/models/gpt%2F4")
    assert answer.status == 404
    assert answer.error["code"] == "model_not_found"
    assert answer.error["message"] == "The model `gpt/4` does not exist."


@pytest.mark.parametrize("path", ["/nothing", "/v1", "/v1/embeddings", "/healthz", CHAT + "/", "/V1/models", "/%00", "//health"])
@pytest.mark.parametrize("method", ["GET", "POST", "DELETE"])
def test_an_unknown_path_is_404(api, method, path):
    answer = api.request(method, path)
    assert answer.status == 404
    assert answer.error["type"] == "invalid_request_error"


@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "DELETE", "PATCH", "OPTIONS"])
@pytest.mark.parametrize("path", POST_ROUTES)
def test_another_method_than_post_is_405(api, path, method):
    answer = api.request(method, path)
    assert answer.status == 405
    assert answer.headers["allow"] == "POST"


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "OPTIONS"])
@pytest.mark.parametrize("path", GET_ROUTES)
def test_another_method_than_get_is_405(api, path, method):
    answer = api.request(method, path)
    assert answer.status == 405
    assert answer.headers["allow"] == "GET, HEAD"


@pytest.mark.parametrize("path", [*GET_ROUTES, "/nothing"])
def test_head_is_get_without_the_body(api, path):
    connection = api.connect()
    got = api.get(path, connection=connection)
    head = api.request("HEAD", path, connection=connection)
    again = api.get(path, connection=connection)  # nothing of a body is in the way
    assert head.body == b""
    assert head.status == got.status == again.status
    assert head.headers["content-length"] == str(len(got.body))


def test_no_other_origin_is_let_in(api):
    for answer in (api.get("/health", headers={"Origin": "http://evil"}), api.request("OPTIONS", CHAT)):
        assert not [name for name in answer.headers if name.startswith("access-control")]


# Headers


def test_a_request_id_is_echoed(api):
    asked = {"X-Request-Id": "my-id-42"}
    answers = [
        api.get("/health", headers=asked),
        api.get("/nothing", headers=asked),
        api.request("DELETE", "/health", headers=asked),
        api.post(*completion(), headers={**JSON_TYPE, **asked}),
        api.post(*chat(stream=True), headers={**JSON_TYPE, **asked}),
        api.post(*chat(n=0), headers={**JSON_TYPE, **asked}),
        api.post(*chat(), headers=asked),
    ]
    assert [answer.headers["x-request-id"] for answer in answers] == ["my-id-42"] * len(answers)


def test_a_request_id_is_made_where_none_is_given_or_it_is_unfit(api):
    given = [None, None, "", "two words", "tab\tin", "caf\xe9"]
    made = [api.get("/health", headers={"X-Request-Id": id} if id is not None else {}) for id in given]
    ids = [answer.headers["x-request-id"] for answer in made]
    assert len(set(ids)) == len(ids)
    assert not set(ids) & set(given)


def test_a_long_request_id_is_cut(api):
    assert api.get("/health", headers={"X-Request-Id": "a" * 1000}).headers["x-request-id"] == "a" * 128


def test_the_id_of_an_earlier_request_is_not_given_to_a_bad_one(api):
    received = api.raw(get_bytes("/health", "X-Request-Id: first") + b"GET /health HTTP/1.1\r\n\r\n")
    assert received.count(b"HTTP/1.1") == 2
    assert received.count(b"X-Request-Id: first\r\n") == 1


# Connections


def test_a_connection_serves_many_requests(api):
    connection = api.connect()
    connection.connect()
    socket_used = connection.sock
    for _ in range(2):
        assert api.get("/health", connection=connection).status == 200
        assert api.get("/nothing", connection=connection).status == 404
        assert api.post(*chat(n=0), connection=connection).status == 400
        assert api.post(*chat(), connection=connection).status == 200
        assert api.post(*chat(stream=True), connection=connection).status == 200
        assert api.post(CHAT, b"{", headers={}, connection=connection).status == 415
    assert connection.sock is socket_used


def test_close_is_obeyed(api):
    status, fields, _ = parse(api.raw(get_bytes("/health", "Connection: close")))
    assert (status, fields["connection"]) == (200, "close")


def test_requests_in_one_piece_are_answered_in_order(api):
    paths = ["/version", "/health", "/nothing", "/health/live"]
    received = api.raw(b"".join(map(get_bytes, paths)) + get_bytes("/v1/models", "Connection: close"))
    bodies = [part.partition(b"\r\n\r\n")[2] for part in received.split(b"HTTP/1.1 ")[1:]]
    kinds = [next(iter(json.loads(body))) for body in bodies]
    assert kinds == ["version", "status", "error", "status", "object"]


def test_a_request_may_come_while_another_is_answered(api):
    body = json.dumps({"prompt": "a", "max_tokens": 64, "ignore_eos": True})
    received = api.raw(post_bytes(body) + post_bytes() + get_bytes("/version", "Connection: close"))
    assert received.count(b"HTTP/1.1 200 OK") == 3
    assert received.endswith(b"}") and b'"version"' in received


def test_a_body_may_come_in_chunks_and_byte_by_byte(api):
    wanted = texts(api.answer(COMPLETIONS, json.loads(BODY)))
    fields = ("Transfer-Encoding: chunked", "Connection: close")
    chunks = "".join(f"{len(c):x};name=value\r\n{c}\r\n" for c in (BODY[:7], BODY[7:])) + "0\r\n\r\n"
    with api.open_socket() as connection:
        for byte in post_bytes(chunks, *fields, length=False):
            connection.sendall(bytes([byte]))
        status, _, body = parse(read_to_end(connection))
    assert status == 200
    assert texts(json.loads(body)) == wanted


def test_trailers_are_no_headers(api):
    chunks = f"{len(BODY):x}\r\n{BODY}\r\n0\r\nX-Request-Id: from-trailer\r\n\r\n"
    received = api.raw(post_bytes(chunks, "Transfer-Encoding: chunked", "Connection: close", length=False))
    assert received.startswith(b"HTTP/1.1 200 OK")
    assert b"from-trailer" not in received


def test_who_expects_to_go_on_is_told_to(api):
    with api.open_socket() as connection:
        head, body = post_bytes(BODY, "Expect: 100-Continue", "Connection: close").split(b"\r\n\r\n")
        connection.sendall(head + b"\r\n\r\n")
        assert connection.recv(100).startswith(b"HTTP/1.1 100 Continue\r\n\r\n")
        connection.sendall(body)
        assert read_to_end(connection).startswith(b"HTTP/1.1 200 OK")


def test_http_1_0_is_answered_and_closed(api):
    status, fields, body = parse(api.raw(get_bytes(version="1.0")))
    assert (status, json.loads(body)) == (200, {"status": "ready"})


def test_a_stream_to_http_1_0_has_no_chunks(api):
    body = json.dumps({"prompt": "a", "max_tokens": 4, "stream": True})
    status, fields, events = parse(api.raw(post_bytes(body, version="1.0")))
    assert status == 200
    assert "transfer-encoding" not in fields
    assert events.startswith(b"data: {") and events.endswith(b"data: [DONE]\n\n")


def test_an_absolute_target_names_the_same_route(api):
    status, _, body = parse(api.raw(get_bytes("http://x/version", "Connection: close")))
    assert (status, json.loads(body)) == (200, api.get("/version").json)


def test_silent_connections_hold_up_no_one(api):
    silent = [api.open_socket() for _ in range(100)]
    try:
        assert api.get("/health").status == 200
        assert api.post(*completion()).status == 200
    finally:
        for connection in silent:
            connection.close()


def test_many_connections_at_once_are_all_answered(api):
    answers = in_threads([lambda: api.get("/version")] * 200, count=32)
    assert {answer.status for answer in answers} == {200}


# Malformed and ambiguous requests

MALFORMED = {
    "garbage": b"GARBAGE\r\n\r\n",
    "no-version": b"GET /health\r\n\r\n",
    "unknown-method": b"FETCH /health HTTP/1.1\r\nHost: x\r\nbad field\r\n\r\n",
    "version-2": b"GET /health HTTP/2.0\r\nHost: x\r\n\r\n",
    "version-1.2": b"GET /health HTTP/1.2\r\nHost: x\r\n\r\n",
    "no-host": b"GET /health HTTP/1.1\r\n\r\n",
    "two-hosts": b"GET /health HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n",
    "folded-field": b"GET /health HTTP/1.1\r\nHost: x\r\nX: a\r\n b\r\n\r\n",
    "space-before-colon": b"GET /health HTTP/1.1\r\nHost : x\r\n\r\n",
    "bad-length": post_bytes(BODY, "Content-Length: x", length=False),
    "negative-length": post_bytes(BODY, "Content-Length: -1", length=False),
    "two-lengths": post_bytes(BODY, "Content-Length: 5"),
    "huge-length": post_bytes(BODY, "Content-Length: 99999999999999999999999", length=False),
    "length-and-chunks": post_bytes(BODY, "Transfer-Encoding: chunked"),
    "xchunked": post_bytes(BODY, "Transfer-Encoding: xchunked", length=False),
    "identity": post_bytes(BODY, "Transfer-Encoding: identity", length=False),
    "chunked-identity": post_bytes(BODY, "Transfer-Encoding: chunked, identity", length=False),
    "gzip-chunked": post_bytes(BODY, "Transfer-Encoding: gzip, chunked", length=False),
    "two-encodings": post_bytes(BODY, "Transfer-Encoding: chunked", "Transfer-Encoding: chunked", length=False),
    "bad-chunk-size": post_bytes("zz\r\n", "Transfer-Encoding: chunked", length=False),
    "old-with-chunks": post_bytes("0\r\n\r\n", "Transfer-Encoding: chunked", version="1.0", length=False),
}


@pytest.mark.parametrize("name", MALFORMED)
def test_malformed_http_is_refused_and_the_connection_closed(api, name):
    status, fields, body = parse(api.raw(MALFORMED[name]))
    assert status == 400
    assert fields["connection"] == "close"
    assert json.loads(body)["error"]["type"] == "invalid_request_error"


def test_a_request_that_breaks_off_harms_no_one(api):
    for data in (b"GET /hea", post_bytes()[:-5], post_bytes("5\r\nab", "Transfer-Encoding: chunked", length=False)):
        assert api.raw(data, half_close=True) == b""
    assert api.get("/health").status == 200
