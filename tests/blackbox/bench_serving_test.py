"""`rubato bench serving` against a running server, and without one."""

import json
import os
import re
import subprocess

import pytest
from program import ANSWER_SECONDS, PROGRAM, ROOT
from limits_test import ENDLESS

SHORT = ["--length", "32", "--requests", "6", "--tasks", "word_problem,code"]


def bench(*arguments, **environment):
    return subprocess.run(
        [PROGRAM, "bench", "serving", *map(str, arguments)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        timeout=ANSWER_SECONDS,
        env={**os.environ, **environment},
    )


@pytest.fixture(scope="module")
def swept(api, tmp_path_factory):
    """A short sweep: both loops."""
    file = tmp_path_factory.mktemp("bench") / "report.json"
    result = bench("--url", api.server.url, *SHORT, "--concurrency", "1,3", "--rate", "20", "--json", file)
    assert result.returncode == 0, result.stderr
    return result, json.loads(file.read_text())


def test_every_level_is_asked_and_answered(swept):
    levels = swept[1]["levels"]
    assert [(level["loop"], level["concurrency"], level["rate"]) for level in levels] == [
        ("closed", 1, None),
        ("closed", 3, None),
        ("open", None, 20),
    ]
    for level in levels:
        assert (level["requests"], level["answered"], level["errors"]) == (6, 6, {})
        assert 0 < level["output_tokens"] <= 6 * 32
        assert level["prompt_tokens"] > 0
        assert level["tokens_per_second"] == pytest.approx(level["output_tokens"] / level["seconds"])
        for latency in (level["first_text_ms"], level["whole_ms"]):
            assert 0 < latency["p50"] <= latency["p90"] <= latency["p99"] <= latency["max"] <= 1e3 * level["seconds"]
        assert level["first_text_ms"]["p50"] <= level["whole_ms"]["p50"]
        assert level["engine"]["queue_ms"] >= 0
        assert level["engine"]["forward_passes"] >= 6


def test_every_level_asks_the_same_and_is_answered_the_same(swept):
    assert len({(level["prompt_tokens"], level["output_tokens"]) for level in swept[1]["levels"]}) == 1


def test_the_report_says_what_was_asked_of_whom(swept, api):
    report = swept[1]
    assert report["url"] == api.server.url
    assert report["model"] == api.get("/v1/models").json["data"][0]["id"]
    assert (report["length"], report["tasks"]) == (32, ["word_problem", "code"])


def test_the_table_has_a_line_for_each_level(swept):
    assert re.findall(r"^(1 at a time|3 at a time|20/s) +6 +0 ", swept[0].stdout, re.MULTILINE) == [
        "1 at a time",
        "3 at a time",
        "20/s",
    ]


def test_progress_is_told_off_a_terminal(swept):
    assert "done 18/18" in swept[0].stderr


def test_a_policy_is_what_the_requests_ask_for(api, tmp_path):
    file = tmp_path / "report.json"
    result = bench("--url", api.server.url + "/v1", *SHORT, "--concurrency", "2", "--policy", "none", "--json", file)
    assert result.returncode == 0, result.stderr
    report = json.loads(file.read_text())
    assert report["diffusion"] == {"policy": "none"}
    assert report["levels"][0]["engine"]["rows_computed"] > 6 * 32  # whole canvases


def test_refusals_are_counted_and_the_rest_goes_on(start_server, tmp_path):
    """One generation at a time and one that waits: of four at a time, some are refused."""
    api = start_server(1, "--set", "engine.max_sequences=1", "--set", "engine.max_queued=1")
    file = tmp_path / "report.json"
    result = bench("--url", api.server.url, *SHORT, "--concurrency", "4", "--json", file)
    assert result.returncode == 0, result.stderr
    level = json.loads(file.read_text())["levels"][0]
    assert level["answered"] >= 1
    assert level["answered"] + sum(level["errors"].values()) == 6
    assert all(error.startswith("HTTP 429: ") for error in level["errors"])
    assert "HTTP 429" in result.stdout


def test_a_key_is_taken_from_the_environment(start_server, tmp_path):
    keys = tmp_path / "keys"
    keys.write_text("let-me-in\n")
    url = start_server(1, "--set", f"server.api_key_file={keys}").server.url
    assert bench("--url", url, *SHORT, "--concurrency", "1", RUBATO_API_KEY="let-me-in").returncode == 0
    refused = bench("--url", url, *SHORT, "--concurrency", "1", RUBATO_API_KEY="other")
    assert refused.returncode == 1
    assert "answered 401" in refused.stderr


def test_a_request_that_takes_too_long_is_an_error(start_server):
    """A generation that nobody waits for holds the only place."""
    api = start_server(1, "--set", "engine.max_sequences=1")
    held = api.open_stream("/v1/completions", {**ENDLESS, "diffusion": {**ENDLESS["diffusion"], "trace": True}})
    assert held.next_event()
    result = bench("--url", api.server.url, *SHORT, "--warm-up", "0", "--concurrency", "6", "--timeout", "1")
    held.leave()
    assert result.returncode == 1  # nothing was answered
    assert "6 x no answer in time" in result.stdout


def test_without_a_url_it_says_how_to_start_a_server():
    result = bench()
    assert result.returncode == 2
    assert "launch/up" in result.stderr
    assert "--url http://127.0.0.1:8000" in result.stderr


def test_a_server_that_is_not_there_is_named():
    result = bench("--url", "http://127.0.0.1:1")
    assert result.returncode == 1
    assert "no server answers at http://127.0.0.1:1: cannot connect" in result.stderr


@pytest.mark.parametrize(
    "arguments, named",
    [
        (["--url", "https://127.0.0.1"], "http://HOST"),
        (["--concurrency", "0"], "--concurrency"),
        (["--rate", "fast"], "--rate"),
        (["--url", "http://127.0.0.1:1", "--tasks", "poems"], "poems"),
        (["--url", "http://127.0.0.1:1", "--policy", "elastik"], "elastik"),
        (["--clients", "3"], "--clients"),
    ],
)
def test_a_mistake_is_named(arguments, named):
    result = bench(*arguments)
    assert result.returncode == 2
    assert named in result.stderr + result.stdout


def test_a_mistake_that_only_the_server_knows_is_told_before_the_load(api):
    result = bench("--url", api.server.url, "--length", "100000")
    assert result.returncode == 1
    assert "the server refuses a request: HTTP 400" in result.stderr


def test_help_names_the_defaults():
    result = bench("--help")
    assert result.returncode == 0
    assert "1,2,4,8,16" in result.stdout
    assert "RUBATO_API_KEY" in result.stdout
