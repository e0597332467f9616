"""A rank that is lost ends the job: soon, with a status of its own and a message that names it."""

import contextlib
import os
import signal
import time

import pytest

from job import BUILD, Job, Load, is_gone, wait_for

REPLICAS = ["--tp", 1, "--replicas", 2]  # two leaders and nobody else
LIMIT_S = 15  # of what is promised in 5, for this machine may be busy


FAULTS = pytest.mark.parametrize(
    "fault, status, message",
    [
        (signal.SIGKILL, 137, "process rank {} with PID"),
        (signal.SIGSTOP, 70, "rank {} does not answer"),
    ],
)


def serve(folder, *arguments, ranks=2):
    command = ["mpirun", "--oversubscribe", "--bind-to", "none", "-np", ranks, BUILD / "rubato", "serve", "--port", 0]
    return Job([*command, *arguments], folder)


def lose(job, rank, fault, status, message, measure, where):
    """Does `fault` to a rank of a ready job, and expects that it ends as it should."""
    ranks = job.ranks()
    os.kill(ranks[rank], fault)
    found, seconds = job.wait_end(LIMIT_S)
    measure(f"until the job ended, {fault.name} of rank {rank}{where}", seconds)
    assert found == status
    assert message.format(rank) in job.log
    wait_for(lambda: all(map(is_gone, ranks)), "all ranks gone")


@pytest.mark.parametrize("rank", [0, 1])
@pytest.mark.parametrize("when", ["idle", "under load"])
@FAULTS
def test_a_lost_rank_ends_the_job_and_is_named(fault, status, message, when, rank, tmp_path, measure):
    with serve(tmp_path) as job:
        job.wait_ready()
        with Load(job) if when == "under load" else contextlib.nullcontext():
            lose(job, rank, fault, status, message, measure, f", {when}")


@pytest.mark.parametrize("rank", [0, 1])
def test_a_replica_that_hangs_ends_the_job_and_is_named(rank, tmp_path, measure):
    with serve(tmp_path, *REPLICAS) as job:
        ranks = job.wait_ready().ranks()
        os.kill(ranks[rank], signal.SIGSTOP)
        status, seconds = job.wait_end(LIMIT_S)
        measure(f"until the job ended, SIGSTOP of replica {rank}", seconds)
        assert status == 70
        assert f"rank {rank} does not answer" in job.log


@pytest.mark.parametrize("rank", [2, 3], ids=["its leader", "another"])
@FAULTS
def test_a_lost_rank_of_another_replica_of_two_ends_the_job_and_is_named(
    fault, status, message, rank, tmp_path, measure
):
    with serve(tmp_path, "--tp", 2, "--replicas", 2, ranks=4) as job:
        job.wait_ready()
        with Load(job):  # both replicas have some of it
            lose(job, rank, fault, status, message, measure, " of two replicas of two, under load")


def test_a_server_whose_rank_is_late_is_not_ready_until_it_comes(tmp_path):
    with serve(tmp_path, "--set", "engine.watchdog_s=600") as job:
        ranks = job.wait_ready().ranks()
        assert job.health() == 200
        os.kill(ranks[1], signal.SIGSTOP)
        wait_for(lambda: job.health() == 503, "not ready")
        assert job.request("GET", "/health/live")[0] == 200
        os.kill(ranks[1], signal.SIGCONT)
        wait_for(lambda: job.health() == 200, "ready again")
        assert job.complete()[0] == 200


@pytest.mark.parametrize("layout", [[], REPLICAS], ids=["one replica", "two replicas"])
def test_a_job_that_was_stopped_as_a_whole_goes_on(layout, tmp_path):
    """As when a machine is suspended: no rank holds against the others that it did not run itself."""
    with serve(tmp_path, *layout, "--set", "engine.watchdog_s=2") as job:
        ranks = job.wait_ready().ranks()
        for pid in ranks:
            os.kill(pid, signal.SIGSTOP)
        time.sleep(4)  # beyond the deadline
        for pid in ranks:
            os.kill(pid, signal.SIGCONT)
        assert job.complete()[0] == 200


def test_ranks_end_with_mpirun(tmp_path):
    with serve(tmp_path) as job:
        ranks = job.wait_ready().ranks()
        os.kill(job.process.pid, signal.SIGKILL)
        wait_for(lambda: all(map(is_gone, ranks)), "all ranks gone")
