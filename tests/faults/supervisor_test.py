"""launch/serve: starts again what was lost, gives up in the end, and never repeats what cannot work."""

import os
import signal

import pytest

from job import ROOT, Job, descendants, is_gone, wait_for


def serve(folder, *arguments):
    return Job(["launch/serve", "--tp", 2, "--port", 0, *arguments], folder)


def test_a_lost_rank_is_replaced_until_there_were_too_many(tmp_path, measure):
    with serve(tmp_path, "--restarts", 1) as job:
        os.kill(job.wait_ready().ranks()[1], signal.SIGKILL)
        job.wait_ready(times=2)
        assert job.complete()[0] == 200
        assert "exit status 137, a rank was killed" in job.log
        assert "restart 1 of 1 in 1 s" in job.log
        os.kill(job.ranks()[0], signal.SIGKILL)
        status, seconds = job.wait_end()
        measure("until the supervisor gave up", seconds)
        assert status == 137
        assert "giving up after 1 restarts within 600 s" in job.log


def test_sigterm_drains_after_a_restart_too(tmp_path):
    with serve(tmp_path) as job:
        os.kill(job.wait_ready().ranks()[0], signal.SIGSTOP)
        job.wait_ready(times=2)
        assert "exit status 70, a rank did not answer" in job.log
        job.process.send_signal(signal.SIGTERM)
        assert job.wait_end()[0] == 0, job.log


def test_sigterm_before_a_restart_ends_it(tmp_path):
    with serve(tmp_path) as job:
        os.kill(job.wait_ready().ranks()[1], signal.SIGKILL)
        wait_for(lambda: "restart 1 of 5" in job.log, "waiting for the restart")
        job.process.send_signal(signal.SIGTERM)
        assert job.wait_end()[0] == 0, job.log


def test_sigterm_while_it_loads_ends_it(tmp_path):
    with serve(tmp_path) as job:
        wait_for(lambda: len(job.ranks()) == 2, "ranks")
        job.process.send_signal(signal.SIGTERM)
        assert job.wait_end()[0] == 0, job.log


@pytest.mark.parametrize(
    "arguments, named",
    [
        (["--set", "engine.cache_tokens=0"], "engine.cache_tokens is 0"),
        (["--model", "/no/such/folder"], "/no/such/folder/config.json: no such file"),
        (["--prot", "1"], "--prot"),
    ],
)
def test_what_cannot_start_is_not_tried_again(arguments, named, tmp_path):
    with serve(tmp_path, *arguments) as job:
        status, _ = job.wait_end()
        assert status == 2, job.log
        assert named in job.log
        assert job.log.count("serve: starting") == 1


@pytest.mark.parametrize(
    "engine, arguments, started",
    [
        ("tp = 1\nreplicas = 2", [], "2 ranks (tp 1, replicas 2)"),
        ("tp = 1\nreplicas = 2", ["--replicas", 1], "1 ranks (tp 1, replicas 1)"),
        ("tp = 0", ["--replicas=1"], "2 ranks (tp 2, replicas 1)"),
        ("max_queued = 8", ["--tp=1"], "1 ranks (tp 1, replicas 1)"),
    ],
)
def test_the_number_of_ranks_is_the_configurations_where_no_flag_says_another(engine, arguments, started, tmp_path):
    file = tmp_path / "rubato.toml"
    file.write_text(f"[engine]\n{engine}\n")
    with Job(["launch/serve", "--config", file, "--port", 0, "--model", "/no/such/folder", *arguments], tmp_path) as job:
        assert job.wait_end()[0] == 2
        assert f"serve: starting {started}" in job.log
        assert "/no/such/folder/config.json: no such file" in job.log


def test_relative_paths_are_those_of_the_folder_it_is_called_from(tmp_path):
    (tmp_path / "mine.toml").write_text("[engine]\ntp = 1\nreplicas = 2\n")
    (tmp_path / "my-model").mkdir()
    command = [ROOT / "launch/serve", "--config", "mine.toml", "--port", "0", "--model", "my-model"]
    with Job(command, tmp_path, cwd=tmp_path) as job:
        assert job.wait_end()[0] == 2
        assert "serve: starting 2 ranks (tp 1, replicas 2)" in job.log
        assert f"{tmp_path}/my-model/config.json: no such file" in job.log


def test_the_server_ends_with_its_supervisor(tmp_path):
    with serve(tmp_path) as job:
        job.wait_ready()
        below = descendants(job.process.pid)
        os.kill(job.process.pid, signal.SIGKILL)
        wait_for(lambda: all(map(is_gone, below)), "all processes gone")
