"""`rubato bench long` from end to end, with a small random model."""

import json
import os
import pathlib
import subprocess

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[3]
PROGRAM = pathlib.Path(os.environ.get("RUBATO_BUILD_DIR", ROOT / "build")) / "rubato"
MPI_ENVIRONMENT = {"OMPI_ALLOW_RUN_AS_ROOT": "1", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1", "OMP_WAIT_POLICY": "PASSIVE"}
SMALL = ["--layers", "4", "--width", "64", "--heads", "4", "--mlp", "96", "--vocabulary", "64", "--prompt", "16"]
SHORT = [*SMALL, "--canvases", "64,128", "--steps", "10", "--policies", "none,dual,interval,elastic:gamma=0/1.01"]


def bench(*arguments, ranks=0):
    launcher = ["mpirun", "--oversubscribe", "--bind-to", "none", "-np", str(ranks)] if ranks else []
    return subprocess.run(
        [*launcher, PROGRAM, "bench", "long", *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        timeout=120,
        env={**os.environ, **MPI_ENVIRONMENT},
    )


def report_of(file, *arguments, ranks=0):
    result = bench(*arguments, "--json", file, ranks=ranks)
    assert result.returncode == 0, result.stderr
    return result, json.loads(file.read_text())


@pytest.fixture(scope="module")
def alone(tmp_path_factory):
    return report_of(tmp_path_factory.mktemp("bench") / "report.json", *SHORT)


def boundaries(result):
    return {entry["boundary"]: (entry["count"], entry["rows"]) for entry in result["by_boundary"]}


def test_every_policy_is_measured_on_every_canvas(alone):
    policies = ["none", "dual", "interval", "elastic:gamma=0", "elastic:gamma=1.01"]
    assert [(r["canvas"], r["policy"]) for r in alone[1]["results"]] == [(c, p) for c in (64, 128) for p in policies]
    assert "\ncanvas 128, cache" in alone[0].stdout
    assert "to the power of" in alone[0].stdout


def test_steps_are_told_apart_by_what_they_refresh(alone):
    for result in alone[1]["results"]:
        canvas, found = result["canvas"], boundaries(result)
        assert sum(count for count, _ in found.values()) == result["steps"] == 10
        assert found[0][1] == 4 * canvas, "a full step computes all rows of 4 layers"
        match result["policy"]:
            case "none":
                assert set(found) == {0}
            case "dual":
                assert found == {0: (1, 4 * canvas), None: (9, 4 * 32)}
            case "interval":
                assert found[0][0] == 2
            case "elastic:gamma=0":
                assert set(found) == {0, None}
            case "elastic:gamma=1.01":
                assert set(found) == {0, 1}
                assert found[1][1] > 3 * canvas


def test_random_weights_are_called_that(alone):
    assert alone[1]["random_weights"] is True
    assert "Random weights:" in alone[0].stdout


def test_two_ranks_make_the_same_steps_and_tell_their_collectives(alone, tmp_path):
    _, report = report_of(tmp_path / "report.json", *SHORT, ranks=2)
    assert report["ranks"] == 2
    for mine, theirs in zip(report["results"], alone[1]["results"]):
        assert boundaries(mine) == boundaries(theirs)
        assert 0 < mine["collective_share"] < 1
        assert theirs["collective_share"] < 0.05


def test_the_configured_checkpoint_can_be_measured(tmp_path):
    short = ["--canvases", "128", "--steps", "3", "--policies", "none"]
    result, report = report_of(tmp_path / "report.json", "--checkpoint", *short)
    assert report["model"] == "llada-tiny"
    assert report["random_weights"] is False
    assert "Random weights:" not in result.stdout


@pytest.mark.parametrize(
    "arguments, named",
    [
        (["--policies", "elastik"], "elastik"),
        (["--heads", "3"], "n_heads"),
        (["--canvases", "8", "--prompt", "16"], "a prompt of 16"),
        (["--checkpoint", "--canvases", "2000", "--policies", "none"], "the context is 1024"),
    ],
)
def test_a_mistake_is_named(arguments, named):
    result = bench(*arguments)
    assert result.returncode == 2
    assert named in result.stderr
