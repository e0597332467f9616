"""An HTTP client that checks each answer's form: schema, headers, streams. Raw sockets where form is the subject."""

import http.client
import json
import socket
from dataclasses import dataclass

import jsonschema
import schemas
from program import ANSWER_SECONDS

CHAT = "/v1/chat/completions"
COMPLETIONS = "/v1/completions"
JSON_TYPE = {"Content-Type": "application/json"}
MOST_MESSAGE_BYTES = 2000
# Stands in where a stream was not asked to tell it.
NO_USAGE = {"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0}


@dataclass
class Answer:
    status: int
    headers: dict  # lower-case names
    body: bytes

    @property
    def json(self):
        return json.loads(self.body)

    @property
    def error(self):
        return self.json["error"]


def check(answer, path, stream=False):
    """Every answer of the server, whatever it is, has this form."""
    assert answer.headers.get("x-request-id"), f"no X-Request-Id in {answer.headers}"
    if stream and answer.status == 200:
        assert answer.headers["content-type"].startswith("text/event-stream")
        return answer
    if not answer.body:
        return answer
    if path == "/metrics" and answer.status == 200:
        assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
        return answer
    assert answer.headers["content-type"] == "application/json"
    value = json.loads(answer.body.decode("utf-8", errors="strict"))
    schemas.validate(value, schemas.of_answer(path, answer.status))
    if answer.status >= 400:
        assert len(value["error"]["message"].encode()) < MOST_MESSAGE_BYTES
    if answer.status in (429, 503):
        assert int(answer.headers["retry-after"]) >= 1
    return answer


class Api:
    """The routes of one server."""

    def __init__(self, server):
        self.server = server

    def connect(self):
        return http.client.HTTPConnection(self.server.host, self.server.port, timeout=ANSWER_SECONDS)

    def request(self, method, path, body=None, headers=None, connection=None):
        used = connection or self.connect()
        try:
            if body is not None and not isinstance(body, bytes):
                body = json.dumps(body).encode()
            used.request(method, path, body, {} if headers is None else headers)
            response = used.getresponse()
            names = {name.lower(): value for name, value in response.getheaders()}
            stream = names.get("content-type", "").startswith("text/event-stream")
            return check(Answer(response.status, names, response.read()), path.partition("?")[0], stream)
        finally:
            if connection is None:
                used.close()

    def get(self, path, **options):
        return self.request("GET", path, **options)

    def post(self, path, body, headers=JSON_TYPE, **options):
        return self.request("POST", path, body, headers, **options)

    def answer(self, path, body, **options):
        """A request that is expected to succeed."""
        answer = self.post(path, body, **options)
        assert answer.status == 200, answer.body[:2000]
        return answer.json

    def refusal(self, path, body, status=400):
        """A request that is expected to fail with that status; the error object."""
        answer = self.post(path, body)
        assert answer.status == status, answer.body[:2000]
        return answer.error

    def stream(self, path, body):
        """The chunks of a stream, checked as a whole."""
        answer = self.post(path, {**body, "stream": True})
        assert answer.status == 200, answer.body[:2000]
        return check_chunks(path, read_events(answer.body), body)

    def open_stream(self, path, body):
        return OpenStream(self, path, {**body, "stream": True})

    def raw(self, data, half_close=False):
        """Sends bytes as they are; all that comes back until the server closes."""
        with self.open_socket() as connection:
            connection.sendall(data)
            if half_close:
                connection.shutdown(socket.SHUT_WR)
            return read_to_end(connection)

    def open_socket(self):
        return socket.create_connection((self.server.host, self.server.port), timeout=ANSWER_SECONDS)


def read_to_end(connection):
    received = b""
    while data := connection.recv(65536):
        received += data
    return received


class OpenStream:
    """A stream that is read event by event, and may be left in the middle."""

    def __init__(self, api, path, body):
        self.path, self.body = path, body
        self.connection = api.connect()
        self.connection.request("POST", path, json.dumps(body).encode(), JSON_TYPE)
        self.response = self.connection.getresponse()
        assert self.response.status == 200, self.response.read()
        self.received = b""

    def next_event(self):
        """The next event as text, or None at the end."""
        lines = b""
        while not lines.endswith(b"\n\n"):
            line = self.response.readline()
            if not line:
                assert not lines, f"the stream ends within an event: {lines}"
                return None
            lines += line
        self.received += lines
        return lines.decode()

    def finish(self):
        """Reads the rest; all chunks, checked."""
        while self.next_event() is not None:
            pass
        self.leave()
        return check_chunks(self.path, read_events(self.received), self.body)

    def leave(self):
        self.connection.close()
        self.response.close()


def read_events(body):
    """The events of a stream as JSON values; it must end with one [DONE]."""
    text = body.decode("utf-8", errors="strict")
    assert text.endswith("\n\n"), f"the last event is not ended: {text[-100:]!r}"
    events = text.removesuffix("\n\n").split("\n\n")
    for event in events:
        assert event.startswith("data: ") and "\n" not in event, repr(event)
    values = [event.removeprefix("data: ") for event in events]
    assert values[-1] == "[DONE]" and "[DONE]" not in values[:-1]
    return [json.loads(value) for value in values[:-1]]


def check_chunks(path, chunks, body):
    """What holds for the chunks of every stream that does not fail."""
    chat = path == CHAT
    options = body.get("stream_options") or {}
    with_usage, always = options.get("include_usage", False), options.get("continuous_usage_stats", False)
    for chunk in chunks:
        schemas.validate(chunk, "chat_completion_chunk" if chat else "completion_chunk")
    assert len({(chunk["id"], chunk["created"], chunk["model"]) for chunk in chunks}) == 1
    assert [i for i, chunk in enumerate(chunks) if not chunk["choices"]] == [len(chunks) - 1] * with_usage
    if always:
        assert all(chunk["usage"] for chunk in chunks)
    elif with_usage:
        assert all(chunk["usage"] is None for chunk in chunks[:-1])
        assert chunks[-1]["usage"] is not None
    else:
        assert not any("usage" in chunk for chunk in chunks)
    by_choice = {}
    for chunk in chunks:
        for choice in chunk["choices"]:
            by_choice.setdefault(choice["index"], []).append(choice)
    for choices in by_choice.values():
        assert [bool(choice["finish_reason"]) for choice in choices] == [False] * (len(choices) - 1) + [True]
        if chat:
            assert choices[0]["delta"] == {"role": "assistant", "content": ""}
            assert not any("role" in choice["delta"] for choice in choices[1:])
            assert choices[-1]["delta"] == {}
    return chunks


def joined(path, chunks):
    """The answer that a stream's chunks make together, in the form of an answer without stream."""
    chat = path == CHAT
    answer = {key: chunks[0][key] for key in ("id", "created", "model", "system_fingerprint")}
    answer["object"] = "chat.completion" if chat else "text_completion"
    choices = {}
    for chunk in chunks:
        for part in chunk["choices"]:
            choice = choices.setdefault(part["index"], {"text": "", "trace": [], "logprobs": []})
            choice["text"] += part["delta"].get("content", "") if chat else part["text"]
            choice["trace"] += part.get("diffusion", {}).get("trace", [])
            choice["logprobs"] += [part["logprobs"]] if part.get("logprobs") else []
            if part["finish_reason"]:
                choice["last"] = part
    answer["choices"] = [whole_choice(chat, choices[index]) for index in sorted(choices)]
    if chunks[-1].get("usage"):
        answer["usage"] = chunks[-1]["usage"]
    schemas.validate({"usage": NO_USAGE, **answer}, "chat_completion" if chat else "completion")
    return answer


def whole_choice(chat, parts):
    choice = {key: value for key, value in parts["last"].items() if key not in ("delta", "text")}
    if parts["logprobs"]:
        lists = [key for key, value in parts["logprobs"][0].items() if value is not None]
        whole = {key: sum((some[key] for some in parts["logprobs"]), []) for key in lists}
        choice["logprobs"] = {**parts["logprobs"][0], **whole}
    if parts["trace"]:
        choice["diffusion"] = {**choice["diffusion"], "trace": parts["trace"]}
    if chat:
        choice["message"] = {"role": "assistant", "content": parts["text"], "refusal": None}
    else:
        choice["text"] = parts["text"]
    return choice


def text_of(choice):
    return choice["message"]["content"] if "message" in choice else choice["text"]


def texts(answer):
    return [text_of(choice) for choice in answer["choices"]]
