"""One request, one answer: whatever the number of ranks, and whatever else runs."""

import json

import pytest
from api import joined
from cases import ALL, assert_same
from conftest import RANKS
from program import in_threads, run


@pytest.fixture(scope="module")
def wanted(servers):
    """The answers of one rank to one request at a time."""
    return {name: servers[1].answer(path, body) for name, (path, body) in ALL.items()}


@pytest.mark.parametrize("ranks", RANKS)
def test_concurrent_requests_get_the_answers_they_get_alone(servers, wanted, ranks):
    calls = [lambda path=path, body=body: servers[ranks].answer(path, body) for path, body in ALL.values()]
    for name, answer in zip(ALL, in_threads(calls, count=16)):
        assert_same(answer, wanted[name], name)


def test_concurrent_streams_and_answers_do_not_mix(servers, wanted):
    def stream(path, body):
        return joined(path, servers[2].stream(path, {**body, "stream_options": {"include_usage": True}}))

    calls = []
    for path, body in ALL.values():
        calls += [lambda p=path, b=body: stream(p, b), lambda p=path, b=body: servers[2].answer(p, b)]
    answers = in_threads(calls, count=16)
    for name, streamed, whole in zip(ALL, answers[::2], answers[1::2]):
        assert_same(streamed, wanted[name], name)
        assert_same(whole, wanted[name], name)


@pytest.mark.parametrize("ranks", RANKS)
def test_a_batch_gives_the_answers_of_the_server(wanted, ranks, tmp_path):
    requests, results = tmp_path / "requests.jsonl", tmp_path / "results.jsonl"
    lines = [
        {"custom_id": name, "method": "POST", "url": path, "body": body} for name, (path, body) in ALL.items()
    ]
    requests.write_text("".join(json.dumps(line) + "\n" for line in lines))
    done = run(ranks, "run-batch", "-i", requests, "-o", results)
    assert done.returncode == 0, done.stderr
    answers = [json.loads(line) for line in results.read_text().splitlines()]
    assert [answer["custom_id"] for answer in answers] == list(ALL)
    for answer in answers:
        assert answer["error"] is None
        assert_same(answer["response"]["body"], wanted[answer["custom_id"]], answer["custom_id"])
