"""The scripts as a person meets them: syntax, --help, mistakes; and the runner's counting."""

import os
import pathlib
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
SCRIPTS = [
    "launch/setup",
    "launch/build",
    "launch/bundle",
    "launch/up",
    "launch/serve",
    "tests/run",
    "tests/fuzz/run",
    ".ci/run",
    "benchmarks/results",
]


def run(*command):
    return subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=60
    )


@pytest.mark.parametrize("script", SCRIPTS)
def test_script_is_executable_and_parses(script):
    assert os.access(ROOT / script, os.X_OK)
    result = run("bash", "-n", script)
    assert result.returncode == 0, result.stderr


@pytest.mark.parametrize("script", SCRIPTS)
def test_help_names_the_script_and_succeeds(script):
    result = run(ROOT / script, "--help")
    assert result.returncode == 0
    assert result.stdout.startswith(f"usage: {script}")


# launch/serve leaves that to the program (tests/faults/supervisor_test.py).
@pytest.mark.parametrize("script", [script for script in SCRIPTS if script != "launch/serve"])
def test_unknown_option_is_refused_by_name(script):
    result = run(ROOT / script, "--no-such-option")
    assert result.returncode != 0
    assert "--no-such-option" in result.stderr


def test_build_refuses_an_architecture_without_cuda():
    result = run(ROOT / "launch/build", "--arch", "90")
    assert result.returncode == 2
    assert "--cuda" in result.stderr


@pytest.mark.parametrize(
    "arguments, named",
    [(["--build"], "--build"), (["--with"], "--with"), (["--build", ""], "--build"), (["one", "two"], "'two'")],
)
def test_bundle_says_what_is_wrong_with_its_arguments(arguments, named):
    result = run(ROOT / "launch/bundle", *arguments)
    assert result.returncode == 2
    assert named in result.stderr


def test_bundle_removes_nothing_that_is_no_bundle(tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "letter").write_text("dear")
    build = tmp_path / "build"  # nothing is built there: it would end here at the latest
    for out in (tmp_path / "mine", tmp_path / "mine" / "letter"):
        result = run(ROOT / "launch/bundle", "--build", build, out)
        assert result.returncode == 2
        assert f"{out} is there and no bundle" in result.stderr
    assert (tmp_path / "mine" / "letter").read_text() == "dear"
    for folder in ("openmpi/plugins", "pmix"):
        (tmp_path / "bundle" / folder).mkdir(parents=True)
    assert f"{build}/rubato is not there" in run(ROOT / "launch/bundle", "--build", build, tmp_path / "bundle").stderr


@pytest.mark.parametrize(
    "arguments, named",
    [
        (["--tp", "0"], "--tp"),
        (["--tp=0"], "--tp"),
        (["--set", "engine.tp=4"], "say --tp 4"),
        (["--replicas", "many"], "--replicas"),
        (["--port", "65536"], "--port"),
        (["--model"], "--model"),
        (["--model", "/no/such/folder"], "/no/such/folder"),
        (["--config", "/no/such/file"], "/no/such/file"),
    ],
)
def test_up_refuses_a_bad_value_before_it_installs_anything(arguments, named):
    result = run(ROOT / "launch/up", *arguments)
    assert result.returncode == 2
    assert named in result.stderr
    assert "setup:" not in result.stdout


@pytest.mark.parametrize("arguments", [["--set", "engine.replicas=2"], ["--set=engine.replicas=2"]])
def test_serve_takes_no_number_of_ranks_from_set(arguments):
    result = run(ROOT / "launch/serve", *arguments)
    assert result.returncode == 2
    assert "say --replicas 2" in result.stderr


def restarts(call):
    result = run("bash", "-euo", "pipefail", "-c", f". launch/restarts.sh; {call}")
    assert result.returncode == 0, result.stderr
    return [int(word) for word in result.stdout.split()]


def test_the_wait_before_a_restart_doubles_up_to_a_minute():
    assert restarts("for n in {0..8} 1000; do restart_delay $n; done") == [1, 2, 4, 8, 16, 32, 60, 60, 60, 60]


@pytest.mark.parametrize(
    "now, times, kept",
    [
        (700, [100, 101, 400, 700], [101, 400, 700]),  # one that is a whole window old is forgotten
        (99, [3, 50], [3, 50]),
        (5000, [3, 50], []),
        (5000, [], []),
    ],
)
def test_restarts_are_forgotten_once_they_are_out_of_the_window(now, times, kept):
    assert restarts(f"within_window {now} 600 {' '.join(map(str, times))}") == kept


def test_up_looks_for_files_in_the_folder_it_is_called_from(tmp_path):
    (tmp_path / "mine.toml").write_text("")
    command = [ROOT / "launch/up", "--config", "mine.toml", "--model", "none"]  # so that nothing is installed
    result = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=60)
    assert result.returncode == 2
    assert "no such folder: none" in result.stderr


def write_reports(folder):
    (folder / "ctest.xml").write_text(
        """<testsuite>
        <testcase name="A.Passes" status="run"><system-out/></testcase>
        <testcase name="A.Fails" status="fail"><failure message="no"/><system-out/></testcase>
        <testcase name="A.NotBuilt" status="notrun"><skipped message="Unable to find executable"/></testcase>
        <testcase name="A.Skips" status="notrun"><skipped message="SKIP_REGULAR_EXPRESSION_MATCHED"/>
        <system-out>a_test.cpp:3: Skipped
no GPU here

[  SKIPPED ] A.Skips (0 ms)</system-out></testcase>
        <testcase name="python" status="fail"><failure message="no"/><system-out/></testcase>
        </testsuite>"""
    )
    (folder / "python.xml").write_text(
        """<testsuites><testsuite><testcase name="one"/><testcase name="two"/>
        <testcase name="three"><failure message="no"/></testcase>
        <testcase name="four"><skipped message="no browser"/></testcase></testsuite></testsuites>"""
    )


def summarize(folder, status):
    return run(sys.executable, "tests/summary.py", str(folder), str(status))


def test_summary_counts_gtest_and_pytest_cases_and_gives_reasons(tmp_path):
    write_reports(tmp_path)
    result = summarize(tmp_path, 8)
    assert result.returncode == 8
    assert result.stdout.splitlines()[-1] == "3 passed, 3 failed, 2 skipped"
    assert "skipped (no GPU here): A.Skips" in result.stdout
    assert "skipped (no browser): python: four" in result.stdout
    assert "failed: A.NotBuilt" in result.stdout


def test_summary_never_turns_a_counted_failure_into_success(tmp_path):
    write_reports(tmp_path)
    assert summarize(tmp_path, 0).returncode == 1


def test_summary_without_a_report_fails(tmp_path):
    assert summarize(tmp_path, 0).returncode == 1
