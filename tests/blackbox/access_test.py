"""Who is let in: access keys, and pages of other sites."""

import openai
import pytest
from api import JSON_TYPE, Api
from cases import chat, completion
from program import ANSWER_SECONDS, Server, run

KEYS = ("first-key-7f3a", "second-key-91bc")
PAGE = "https://example.org"

# (method, path, body, status with a key)
REQUESTS = [
    ("GET", "/v1/models", None, 200),
    ("GET", "/v1/models/llada-tiny", None, 200),
    ("GET", "/version", None, 200),
    ("GET", "/load", None, 200),
    ("GET", "/metrics", None, 200),
    ("GET", "/nothing", None, 404),
    ("PUT", "/v1/models", None, 405),
    ("POST", *chat(), 200),
    ("POST", *completion(), 200),
    ("POST", "/tokenize", {"prompt": "a"}, 200),
    ("POST", "/detokenize", {"tokens": [5]}, 200),
]


@pytest.fixture(scope="module")
def locked(tmp_path_factory):
    folder = tmp_path_factory.mktemp("locked")
    (folder / "keys").write_text("# of the team\n" + "\n".join(KEYS) + "\n")
    options = ("--set", f"server.api_key_file={folder / 'keys'}", "--set", f"server.cors_origins={PAGE}")
    server = Server(folder / "server", 1, *options)
    try:
        yield Api(server.wait_until_ready())
        assert not any(key in server.log() for key in KEYS)
    finally:
        server.stop()


def with_key(key):
    return {**JSON_TYPE, "Authorization": f"Bearer {key}"}


@pytest.mark.parametrize("method, path, body, status", REQUESTS, ids=lambda value: str(value)[:20])
def test_every_route_wants_a_key(locked, method, path, body, status):
    for headers in ({}, {"Authorization": KEYS[0]}, with_key("first-key-7f3"), with_key("")):
        answer = locked.request(method, path, body, {**JSON_TYPE, **headers})
        assert answer.status == 401
        assert (answer.error["type"], answer.error["code"]) == ("authentication_error", "invalid_api_key")
        assert answer.headers["www-authenticate"] == "Bearer"
    for key in KEYS:
        assert locked.request(method, path, body, with_key(key)).status == status


def test_health_needs_none(locked):
    assert locked.get("/health").status == locked.get("/health/live").status == 200


def test_a_stranger_s_body_is_not_waited_for(locked):
    head = b"POST /v1/completions HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 4000000\r\n\r\n"
    assert locked.raw(head, half_close=True).startswith(b"HTTP/1.1 401 ")


def test_the_openai_client_gets_in_with_a_key_only(locked):
    def client(key):
        return openai.OpenAI(
            base_url=locked.server.url + "/v1", api_key=key, timeout=ANSWER_SECONDS, max_retries=0
        )

    assert client(KEYS[1]).models.list().data[0].id == "llada-tiny"
    with pytest.raises(openai.AuthenticationError):
        client("wrong").models.list()


def test_a_server_meant_to_be_locked_does_not_start_open(tmp_path):
    (tmp_path / "keys").write_text("# none yet\n")
    done = run(2, "serve", "--port", 0, "--set", f"server.api_key_file={tmp_path / 'keys'}")
    assert done.returncode != 0
    assert "holds no key" in done.stdout + done.stderr


def ask_before(api, origin):
    headers = {
        "Origin": origin,
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "authorization, content-type",
    }
    return api.request("OPTIONS", "/v1/chat/completions", headers=headers)


def test_pages_named_in_the_configuration_may_ask_and_read(locked):
    before = ask_before(locked, PAGE)
    assert before.status == 204
    assert before.headers["access-control-allow-origin"] == PAGE
    assert "authorization" in before.headers["access-control-allow-headers"]
    assert "POST" in before.headers["access-control-allow-methods"]
    answer = locked.get("/v1/models", headers={**with_key(KEYS[0]), "Origin": PAGE})
    assert answer.headers["access-control-allow-origin"] == PAGE


def test_other_pages_may_not(locked):
    assert "access-control-allow-origin" not in ask_before(locked, "https://example.com").headers
    answer = locked.get("/health", headers={"Origin": "https://example.com"})
    assert "access-control-allow-origin" not in answer.headers


def test_no_page_may_by_default(api):
    assert ask_before(api, PAGE).status == 405
    answer = api.get("/v1/models", headers={"Origin": PAGE})
    assert not [name for name in answer.headers if name.startswith("access-control")]
