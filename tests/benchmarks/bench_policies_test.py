"""`rubato bench policies` from end to end, with a few short questions."""

import json
import os
import pathlib
import subprocess

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
PROGRAM = pathlib.Path(os.environ.get("RUBATO_BUILD_DIR", ROOT / "build")) / "rubato"
MPI_ENVIRONMENT = {"OMPI_ALLOW_RUN_AS_ROOT": "1", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1", "OMP_WAIT_POLICY": "PASSIVE"}
SHORT = ["--count", "3", "--length", "64", "--tasks", "word_problem,code", "--policies", "none,elastic:window=8,dual"]
COUNTS = ["task", "policy", "questions", "right", "tokens", "forward_passes", "refreshes", "rows_computed"]


def bench(*arguments, ranks=0):
    launcher = ["mpirun", "--oversubscribe", "--bind-to", "none", "-np", str(ranks)] if ranks else []
    return subprocess.run(
        [*launcher, PROGRAM, "bench", "policies", *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        timeout=120,
        env={**os.environ, **MPI_ENVIRONMENT},
    )


@pytest.fixture(scope="module")
def alone(tmp_path_factory):
    file = tmp_path_factory.mktemp("bench") / "report.json"
    result = bench(*SHORT, "--phases", "--traces", "--json", file)
    assert result.returncode == 0, result.stderr
    return result, json.loads(file.read_text())


def test_the_table_has_every_task_and_policy(alone):
    lines = alone[0].stdout.split("steps by the first layer")[0].splitlines()
    assert {"word_problem, length 64", "code, length 64", "all tasks, length 64"} <= set(lines)
    assert sum(line.startswith("elastic:window=8 ") for line in lines) == 3


def test_the_report_has_consistent_counts(alone):
    report = alone[1]
    assert [(r["task"], r["policy"]) for r in report["results"]] == [
        (task, policy) for task in ["word_problem", "code"] for policy in ["none", "elastic:window=8", "dual"]
    ]
    for result in report["results"]:
        assert result["questions"] == 3
        assert 0 <= result["right"] <= 3
        assert 0 < result["tokens"] <= 3 * 64
        assert result["tokens"] <= result["tokens_committed"]
        assert result["refreshes"] <= result["forward_passes"]
        assert result["seconds"] > 0
        assert sum(kind["count"] for kind in result["steps"].values()) == result["forward_passes"]
        assert sum(result["boundaries"].values()) == result["forward_passes"]
        assert result["boundaries"]["none"] == result["forward_passes"] - result["refreshes"]
        low, high = result["accuracy_interval"]
        assert 0 <= low <= result["accuracy"] <= high <= 1
        assert result["cache_bytes"] > 64 * report["cache_bytes_per_token"]
    none = report["results"][0]
    assert none["refreshes"] == none["forward_passes"]
    assert report["results"][1]["diffusion"]["window"] == 8
    assert report["skipped"] == []


def test_the_report_says_where_its_numbers_come_from(alone):
    report = alone[1]
    assert report["machine"]["cores"] >= 1
    assert report["machine"]["memory_bytes"] > 1 << 28
    assert report["command"].startswith("rubato bench policies --count 3")
    assert report["commit"]
    assert alone[0].stdout.startswith(f"rubato {report['version']}, commit {report['commit']}, ")


def test_each_step_of_the_first_question_is_in_the_report_when_asked_for(alone):
    for result in alone[1]["results"]:
        assert result["trace"][0]["boundary"] == 0
        assert sum(len(step["committed"]) for step in result["trace"]) <= 64
    elastic = alone[1]["results"][1]
    tested = [step for step in elastic["trace"] if step["similarity"]]
    assert all(len(step["similarity"]) in (step["boundary"], 6) for step in tested)
    assert tested


def test_lengths_sweeps_and_repetitions_together(tmp_path):
    file = tmp_path / "report.json"
    sweep = ["--tasks", "code", "--count", "2", "--repeat", "2", "--policies", "elastic:gamma=0/1.5:window=4"]
    result = bench(*sweep, "--lengths", "32,64,1024", "--json", file)
    assert result.returncode == 0, result.stderr
    report = json.loads(file.read_text())
    assert [(r["length"], r["diffusion"]["gamma"]) for r in report["results"]] == [(32, 0), (32, 1.5), (64, 0), (64, 1.5)]
    assert all(r["repetitions_alike"] and len(r["seconds_of_each_repetition"]) == 2 for r in report["results"])
    assert all(r["questions"] == 2 and "trace" not in r for r in report["results"])
    assert [(s["task"], s["length"]) for s in report["skipped"]] == [("code", 1024)]
    assert "maximum context length" in result.stdout


def test_phases_are_shown_when_asked_for(alone):
    assert "microseconds a step" in alone[0].stdout


def test_progress_is_told_off_a_terminal(alone):
    assert "done 18/18" in alone[0].stderr


def test_two_ranks_and_two_at_a_time_count_the_same(alone, tmp_path):
    file = tmp_path / "report.json"
    result = bench(*SHORT, "--concurrency", "2", "--json", file, ranks=2)
    assert result.returncode == 0, result.stderr
    report = json.loads(file.read_text())
    assert report["ranks"] == 2
    for mine, theirs in zip(report["results"], alone[1]["results"]):
        assert [mine[key] for key in COUNTS] == [theirs[key] for key in COUNTS]


def test_code_is_skipped_without_python():
    result = bench("--count", "1", "--length", "32", "--tasks", "code", "--policies", "elastic", "--python", "no-python")
    assert result.returncode == 0
    assert "code, length 32: skipped" in result.stdout
    assert "no-python" in result.stdout


@pytest.mark.parametrize(
    "arguments, named",
    [
        (["--tasks", "poems"], "poems"),
        (["--policies", "elastik"], "elastik"),
        (["--policies", "elastic:gama=1"], "gama"),
        (["--policies", "elastic:gamma=0.9//1"], "gamma="),
        (["--length", "2000"], "maximum context length"),
    ],
)
def test_a_mistake_is_named(arguments, named):
    result = bench(*arguments)
    assert result.returncode == 2
    assert named in result.stderr


def test_help_names_the_defaults_and_what_a_token_is():
    result = bench("--help")
    assert result.returncode == 0
    assert "none:threshold=null" in result.stdout
    assert "usage.completion_tokens" in result.stdout
