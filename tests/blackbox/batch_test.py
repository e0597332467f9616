"""rubato run-batch: files in, files out, and what it says meanwhile."""

import json
import os
import pty
import subprocess

import pytest
import schemas
from api import CHAT, COMPLETIONS, texts
from cases import LONGER, QUESTION, assert_same, chat, completion
from program import ANSWER_SECONDS, PROGRAM, in_threads, mpirun, run


def line(custom_id, case, **keys):
    path, body = case
    return {"custom_id": custom_id, "method": "POST", "url": path, "body": body, **keys}


def without(key, value):
    return {name: other for name, other in value.items() if name != key}


GOOD = chat(QUESTION)

# (a line of the input, the param of its error): each is wrong in one way
BAD = [
    ("nonsense", None),
    ("{", None),
    ("[]", None),
    ('"text"', None),
    (without("custom_id", line("x", GOOD)), "custom_id"),
    (line(7, GOOD), "custom_id"),
    (line(None, GOOD), "custom_id"),
    (line("get", GOOD, method="GET"), "method"),
    (line("other-url", GOOD, url="/v1/embeddings"), "url"),
    (without("url", line("no-url", GOOD)), "url"),
    (without("body", line("no-body", GOOD)), "body"),
    (line("list-body", GOOD, body=[]), "body"),
    (line("bad-field", chat(temperature=9)), "temperature"),
    (line("bad-key", chat(diffusion={"polcy": "none"})), "diffusion.polcy"),
    (line("stream", chat(stream=True)), "stream"),
    (line("too-long", completion("one two " * 600)), "prompt"),
    (line("other-model", chat(model="gpt-4")), "model"),
    (line("wrong-url", (COMPLETIONS, GOOD[1])), "prompt"),
    (line("good-0", GOOD), "custom_id"),  # as the first line has
]


class Batch:
    """Runs a batch of the given lines (values are written as JSON, strings as they are) and reads its results."""

    def __init__(self, folder, lines, ranks=1, options=()):
        self.input, self.output = folder / "requests.jsonl", folder / "results.jsonl"
        self.input.write_text("\n".join(one if isinstance(one, str) else json.dumps(one) for one in lines))
        self.done = run(ranks, "run-batch", "-i", self.input, "-o", self.output, *options)
        self.results = [json.loads(text) for text in self.output.read_text().splitlines()]
        for result in self.results:
            check_result(result)

    def answers(self):
        return {result["custom_id"]: result["response"]["body"] for result in self.results}


def check_result(result):
    assert result.keys() == {"id", "custom_id", "response", "error"}
    assert result["response"].keys() == {"status_code", "request_id", "body"}
    status, body = result["response"]["status_code"], result["response"]["body"]
    if status == 200:
        assert result["error"] is None
        schemas.validate(body, "chat_completion" if body["object"] == "chat.completion" else "completion")
    else:
        assert result["error"].keys() == {"code", "message"}
        schemas.validate(body, "error")
        assert body["error"]["message"] == result["error"]["message"]


@pytest.fixture(scope="module")
def mixed(tmp_path_factory):
    """Good and bad lines in turn, and empty ones between; some end as on Windows, the last does not end."""
    lines = []
    for i, (bad, _) in enumerate(BAD):
        lines += [line(f"good-{i}", [GOOD, completion(LONGER), chat(LONGER, n=2)][i % 3]), bad, "", "  \t\r"]
    return Batch(tmp_path_factory.mktemp("mixed"), lines, ranks=2)


def test_results_are_in_the_order_of_the_input(mixed):
    ids = [bad.get("custom_id") if isinstance(bad, dict) else None for bad, _ in BAD]
    wanted = [id for i, bad in enumerate(ids) for id in (f"good-{i}", bad if isinstance(bad, str) else None)]
    assert [result["custom_id"] for result in mixed.results] == wanted
    assert len({result["id"] for result in mixed.results}) == len(mixed.results)


def test_a_bad_line_fails_alone_and_says_why(mixed):
    assert mixed.done.returncode == 0
    good, bad = mixed.results[::2], mixed.results[1::2]
    assert {result["response"]["status_code"] for result in good} == {200}
    for result, (sent, param) in zip(bad, BAD):
        assert result["response"]["status_code"] in (400, 404), sent
        assert result["response"]["body"]["error"]["param"] == param, sent
    assert "line 1" in bad[-1]["error"]["message"]


def test_answers_are_those_of_the_server(mixed, api):
    for number, case in enumerate([GOOD, completion(LONGER), chat(LONGER, n=2)]):
        assert_same(mixed.results[2 * number]["response"]["body"], api.answer(*case))


def test_the_count_is_told(mixed):
    assert f"{2 * len(BAD)} lines answered, {len(BAD)} of them with an error" in mixed.done.stderr


def test_no_bar_is_drawn_where_no_terminal_is(mixed):
    assert "\r" not in mixed.done.stderr
    assert "###" not in mixed.done.stderr


@pytest.mark.parametrize("replicas", [1, 2])
@pytest.mark.parametrize("limit", ["max_queued=3", "max_queued_prompt_tokens=150"])
def test_more_choices_than_the_queue_holds_are_answered_too(tmp_path, limit, replicas):
    limits = [part for key in ("max_sequences=2", limit) for part in ("--set", f"engine.{key}")]
    lines = [line(f"{i}", completion([QUESTION] * 3, n=4, max_tokens=4)) for i in range(4)]
    batch = Batch(tmp_path, lines, replicas, ["--tp", "1", "--replicas", str(replicas), *limits])
    assert [len(texts(answer)) for answer in batch.answers().values()] == [12] * 4


def test_a_line_waits_for_its_places_as_long_as_it_takes(tmp_path):
    batch = Batch(tmp_path, [line("a", GOOD)], ranks=2, options=["--set", "engine.queue_timeout_s=1"])
    assert batch.done.returncode == 0
    assert "queue_timeout_s = 0," in batch.done.stderr  # of the configuration, as it is logged at start


def test_an_empty_file_has_no_results(tmp_path):
    batch = Batch(tmp_path, [""])
    assert (batch.done.returncode, batch.results) == (0, [])


def test_a_missing_input_is_named(tmp_path):
    done = run(2, "run-batch", "-i", tmp_path / "none.jsonl", "-o", tmp_path / "results.jsonl")
    assert done.returncode != 0
    assert "none.jsonl" in done.stderr
    assert not (tmp_path / "results.jsonl").exists()


def write_one(folder):
    file = folder / "requests.jsonl"
    file.write_text(json.dumps(line("a", GOOD)) + "\n")
    return file


def test_a_folder_is_no_input(tmp_path):
    done = run_alone("-i", tmp_path, "-o", tmp_path / "results.jsonl")
    assert done.returncode != 0
    assert str(tmp_path) in done.stderr


def test_results_that_cannot_be_written_are_no_success(tmp_path):
    """What each says, and that no file is harmed."""
    requests, earlier = write_one(tmp_path), tmp_path / "earlier.jsonl"
    earlier.write_text("earlier\n")
    before = requests.read_text()
    missing = tmp_path / "missing" / "results.jsonl"
    cases = {  # ranks, output, further options, what is said
        "missing folder": (2, missing, [], f"cannot write {missing}: No such file or directory"),
        "disk full": (1, "/dev/full", [], "cannot write /dev/full"),
        "input": (1, requests, [], f"would overwrite the requests in {requests}"),
        "no model": (2, earlier, ["--model", "/no/such/folder"], "/no/such/folder"),
    }

    def attempt(ranks, output, options, _):
        return run(ranks, "run-batch", "-i", requests, "-o", output, *options)

    ends = in_threads([lambda case=case: attempt(*case) for case in cases.values()], count=2)
    for done, (name, (*_, said)) in zip(ends, cases.items()):
        assert done.returncode != 0, name
        assert said in done.stderr, name
    assert requests.read_text() == before
    assert earlier.read_text() == "earlier\n"


def run_alone(*arguments):
    """Without mpirun: the ends that come before any rank would be needed."""
    command = [PROGRAM, "run-batch", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=ANSWER_SECONDS)


@pytest.mark.parametrize("arguments", [[], ["-i", "x"], ["-o", "x"], ["-i", "x", "-o", "y", "--nonsense"]])
def test_missing_and_unknown_options_are_usage_errors(arguments):
    assert run_alone(*arguments).returncode == 2


def test_help_succeeds():
    done = run_alone("--help")
    assert done.returncode == 0
    assert "--input" in done.stdout and "--output" in done.stdout


@pytest.mark.parametrize("ranks", [1, 2])
def test_a_bar_is_drawn_on_a_terminal(tmp_path, ranks):
    file = tmp_path / "requests.jsonl"
    file.write_text("".join(json.dumps(line(str(i), GOOD)) + "\n" for i in range(3)) + "nonsense\n")
    master, terminal = pty.openpty()
    process = mpirun(
        ranks,
        *("run-batch", "-i", file, "-o", tmp_path / "results.jsonl"),
        stdout=subprocess.DEVNULL,
        stderr=terminal,
    )
    os.close(terminal)
    shown = b""
    try:
        while data := os.read(master, 4096):
            shown += data
    except OSError:  # how Linux says that no one holds the terminal any more
        pass
    os.close(master)
    assert process.wait(ANSWER_SECONDS) == 0
    for count in ("1/4", "4/4", "1 failed"):
        assert count in shown.decode()
    assert "\r[" in shown.decode()
