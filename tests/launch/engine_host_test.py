"""The engine under mpirun: the same answer from any number of ranks, one error from all of them."""

import os
import pathlib
import subprocess

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
PROGRAM = pathlib.Path(os.environ.get("RUBATO_BUILD_DIR", ROOT / "build")) / "tests/launch/engine_host_ranks"
MPI_ENVIRONMENT = {
    "OMPI_ALLOW_RUN_AS_ROOT": "1",
    "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1",
    "OMP_WAIT_POLICY": "PASSIVE",
}


def run(ranks, *arguments):
    return subprocess.run(
        ["mpirun", "--oversubscribe", "--bind-to", "none", "-np", str(ranks), PROGRAM, *arguments],
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        timeout=120,
        env={**os.environ, **MPI_ENVIRONMENT},
    )


@pytest.fixture(scope="module")
def single():
    result = run(1)
    assert result.returncode == 0, result.stderr
    return result.stdout


def test_one_rank_answers_the_question(single):
    assert single.startswith("ids ")
    assert len(single.split()) > 10


@pytest.mark.parametrize("ranks", [2, 4])
def test_more_ranks_give_the_same_ids(ranks, single):
    result = run(ranks)
    assert result.returncode == 0, result.stderr
    assert result.stdout == single


@pytest.mark.parametrize("ranks, replicas", [(2, 2), (4, 2), (3, 3)])
def test_replicas_give_the_same_ids(ranks, replicas, single):
    result = run(ranks, str(replicas))
    assert result.returncode == 0, result.stderr
    assert result.stdout == single


def test_a_size_that_does_not_divide_is_one_error_of_all_ranks():
    result = run(3)
    assert result.stdout == "error: n_heads 8 does not divide evenly over 3 tensor-parallel ranks\n"


def test_a_missing_model_is_one_error_of_all_ranks():
    result = run(2, "1", "/no/such/folder")
    assert result.stdout == "error: /no/such/folder/config.json: no such file\n"
