"""The files in launch/deploy: they parse, name only what exists, and give a drain the time that it takes."""

import os
import pathlib
import re
import shlex
import shutil
import subprocess
import tomllib

import pytest
import yaml

ROOT = pathlib.Path(__file__).resolve().parents[2]
DEPLOY = ROOT / "launch/deploy"
PROGRAM = pathlib.Path(os.environ.get("RUBATO_BUILD_DIR", ROOT / "build")) / "rubato"
CONFIG = tomllib.loads((ROOT / "launch/rubato.toml").read_text())
DRAIN_S = CONFIG["server"]["drain_timeout_s"]
WRITE_OUT_S = 5  # what rank 0 allows for answers to be written when all are made
MANIFESTS = ["kubernetes.yaml", "mpijob.yaml"]


def output(*command):
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True, timeout=60).stdout


@pytest.fixture(scope="module")
def options():
    """Every option that launch/serve takes, itself or for the server."""
    text = output("launch/serve", "--help") + output(PROGRAM, "serve", "--help")
    return set(re.findall(r"--[a-z][a-z-]*", text))


def unit():
    """The systemd unit's settings; of each the last."""
    lines = (DEPLOY / "rubato.service").read_text().splitlines()
    return dict(line.split("=", 1) for line in lines if "=" in line and not line.startswith("#"))


def documents(name):
    return list(yaml.safe_load_all((DEPLOY / name).read_text()))


def pods(document):
    """The pod specifications of a manifest, by their role."""
    if document["kind"] == "Deployment":
        return {"Deployment": document["spec"]["template"]["spec"]}
    if document["kind"] == "MPIJob":
        return {role: part["template"]["spec"] for role, part in document["spec"]["mpiReplicaSpecs"].items()}
    return {}


def serving_pods():
    return [
        pytest.param(pod, id=f"{name}-{role}")
        for name in MANIFESTS
        for document in documents(name)
        for role, pod in pods(document).items()
        if role != "Worker"
    ]


def check_arguments(arguments, options):
    for argument, value in zip(arguments, arguments[1:] + [""]):
        if argument.startswith("--"):
            assert argument in options
        if argument == "--set":
            section, key = value.partition("=")[0].split(".")
            assert key in CONFIG[section]
        if argument == "--model":
            assert (ROOT / value).is_dir()


def test_the_unit_uses_options_that_exist(options):
    program, *arguments = shlex.split(unit()["ExecStart"])
    assert os.access(ROOT / pathlib.Path(program).relative_to("/opt/rubato"), os.X_OK)
    check_arguments(arguments, options)


def test_the_unit_gives_a_drain_its_time():
    assert int(unit()["TimeoutStopSec"]) > DRAIN_S + WRITE_OUT_S
    assert unit()["KillMode"] == "mixed"  # mpirun and the ranks must not get SIGTERM


def test_systemd_accepts_the_unit(tmp_path):
    if shutil.which("systemd-analyze") is None:
        pytest.skip("systemd-analyze is not there")
    text = (DEPLOY / "rubato.service").read_text().replace("/opt/rubato", str(ROOT)).replace("User=rubato\n", "")
    (tmp_path / "rubato.service").write_text(text)
    result = subprocess.run(
        ["systemd-analyze", "verify", tmp_path / "rubato.service"], capture_output=True, text=True, timeout=60
    )
    complaints = [line for line in result.stderr.splitlines() if "rubato.service" in line]
    assert result.returncode == 0 and not complaints, result.stderr


@pytest.mark.parametrize("pod", serving_pods())
def test_pods_use_options_and_paths_that_exist(pod, options):
    (container,) = pod["containers"]
    check_arguments(container["args"], options)
    port = container["args"][container["args"].index("--port") + 1]
    assert [int(port)] == [p["containerPort"] for p in container["ports"]]
    routes = (ROOT / "docs/api.md").read_text()
    for probe, path in [("startup", "/health"), ("readiness", "/health"), ("liveness", "/health/live")]:
        assert container[f"{probe}Probe"]["httpGet"] == {"path": path, "port": "http"}
        assert f"`GET {path}`" in routes


@pytest.mark.parametrize("pod", serving_pods())
def test_pods_give_a_drain_its_time(pod):
    (container,) = pod["containers"]
    command, seconds = container["lifecycle"]["preStop"]["exec"]["command"]
    assert command == "sleep"
    assert pod["terminationGracePeriodSeconds"] > int(seconds) + DRAIN_S + WRITE_OUT_S


def test_workers_of_an_mpi_job_outlive_its_drain():
    (job,) = [document for document in documents("mpijob.yaml") if document["kind"] == "MPIJob"]
    worker, launcher = pods(job)["Worker"], pods(job)["Launcher"]
    (container,) = worker["containers"]
    waits = int(container["lifecycle"]["preStop"]["exec"]["command"][1])
    assert launcher["terminationGracePeriodSeconds"] <= waits < worker["terminationGracePeriodSeconds"]


def test_an_mpi_job_has_as_many_ranks_as_it_says():
    (job,) = [document for document in documents("mpijob.yaml") if document["kind"] == "MPIJob"]
    arguments = pods(job)["Launcher"]["containers"][0]["args"]
    ranks = (1 + job["spec"]["mpiReplicaSpecs"]["Worker"]["replicas"]) * job["spec"]["slotsPerWorker"]
    assert int(arguments[arguments.index("--tp") + 1]) == ranks


@pytest.mark.parametrize("name", MANIFESTS)
def test_services_lead_to_the_pods_that_serve(name):
    *workloads, service = documents(name)
    assert service["kind"] == "Service"
    (template,) = [
        workload["spec"].get("template") or workload["spec"]["mpiReplicaSpecs"]["Launcher"]["template"]
        for workload in workloads
    ]
    assert service["spec"]["selector"].items() <= template["metadata"]["labels"].items()


def test_the_batch_script_parses_and_passes_the_signal_on(options):
    script = DEPLOY / "rubato.sbatch"
    output("bash", "-n", script)
    last = script.read_text().splitlines()[-1]
    program, *arguments = shlex.split(last.removeprefix("exec "))
    assert last.startswith("exec ") and os.access(ROOT / program, os.X_OK)
    check_arguments(arguments, options)
    seconds = int(re.search(r"--signal=B:TERM@(\d+)", script.read_text())[1])
    assert seconds > DRAIN_S + WRITE_OUT_S


def test_the_image_runs_scripts_that_exist():
    lines = (DEPLOY / "Dockerfile").read_text().splitlines()
    assert "WORKDIR /opt/rubato" in lines
    for script in re.findall(r"launch/[a-z]+\b(?!/)", "\n".join(line for line in lines if not line.startswith("#"))):
        assert os.access(ROOT / script, os.X_OK), script
