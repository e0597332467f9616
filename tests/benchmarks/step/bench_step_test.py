"""`rubato bench step` from end to end, on a network of a few weights."""

import json
import os
import pathlib
import subprocess

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[3]
PROGRAM = pathlib.Path(os.environ.get("RUBATO_BUILD_DIR", ROOT / "build")) / "rubato"
SMALL = ["--device", "cpu", "--shape", "32,3,2,48,64", "--repeat", "2"]


def bench(*arguments):
    return subprocess.run(
        [PROGRAM, "bench", "step", *SMALL, *arguments], capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=60
    )


def test_every_case_is_measured_and_has_its_floor(tmp_path):
    file = tmp_path / "steps.json"
    cases = ["--rows", "1,20,60", "--canvas", "50,80", "--boundary", "0,2", "--sequences", "1,3"]
    result = bench(*cases, "--bandwidth", "10", "--teraflops", "0.1", "--json", file)
    assert result.returncode == 0, result.stderr
    report = json.loads(file.read_text())
    assert [(s["sequences"], s["canvas"], s["rows"], s["boundary"]) for s in report["steps"]] == [
        (sequences, canvas, rows, boundary)
        for sequences in (1, 3)
        for canvas in (50, 80)
        for rows, boundary in ((1, 0), (20, 0), (60, 0), (0, 0), (0, 2))
        if rows <= canvas
    ]
    for step in report["steps"]:
        assert 0 < step["least_ms"] <= step["median_ms"]
        assert step["floor_ms"] == pytest.approx(1e3 * max(step["gigabytes"] / 10, step["teraflop"] / 0.1))
    assert report["device"].startswith("CPU; cache for 240 tokens")
    assert (report["dtype"], report["float8"], report["shape"]) == ("float32", False, "32,3,2,48,64")
    assert report["command"].startswith("rubato bench step --device cpu")
    assert report["commit"]
    assert len([line for line in result.stdout.splitlines() if line.startswith(("reuse ", "refresh "))]) == len(report["steps"])


def test_without_limits_there_is_no_floor(tmp_path):
    file = tmp_path / "steps.json"
    result = bench("--rows", "4", "--canvas", "16", "--boundary", "-1", "--json", file)
    assert result.returncode == 0, result.stderr
    assert [step["floor_ms"] for step in json.loads(file.read_text())["steps"]] == [None]


@pytest.mark.parametrize(
    "arguments, named",
    [
        (["--shape", "huge"], "--shape"),
        (["--canvas", "9000"], "9000"),
        (["--boundary", "3"], "layers 0 to 2"),
        (["--quantization", "fp8"], "weights of 8 bits"),
        (["--json", "/no/such/folder/steps.json"], "/no/such/folder/steps.json"),
    ],
)
def test_what_cannot_be_is_refused(arguments, named):
    result = bench("--canvas", "16", "--rows", "4", *arguments)
    assert result.returncode != 0
    assert named in result.stderr
