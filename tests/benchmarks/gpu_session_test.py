"""benchmarks/gpu_session and what it calls, without a GPU: a bundle whose programs do what a test tells them to."""

import importlib.machinery
import importlib.util
import json
import os
import pathlib
import re
import shlex
import signal
import subprocess
import sys
import tarfile
import time

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
SESSION = ROOT / "benchmarks/gpu_session"

#: A bundle's `run`: `cuda_test` writes its report, `bench policies` one of $TOKENS_<device><ranks> tokens, `bench step` nothing;
#: before that, it does what the test has written for arguments like its own.
RUN = """#!/bin/bash
all="$*" ranks=1
case "$all" in {behaviour}
esac
if [ "$1" = mpirun ]; then ranks=2; fi
while [ $# -gt 0 ]; do
  case "$1" in
    --json) json=$2 ;;
    --device) device=$2 ;;
    --gtest_output=xml:*) echo '<testsuites tests="3"/>' >"${{1#*xml:}}" ;;
  esac
  shift
done
case "$all" in *"bench policies"*)
  tokens=TOKENS_$device$ranks
  cat >"$json" <<REPORT
{{"results": [{{"task": "chain", "policy": "none", "length": 32, "questions": 4, "right": 4, "tokens": ${{!tokens}},
  "tokens_committed": 9, "forward_passes": 3, "boundaries": {{"0": 3}}, "rows_computed": 7,
  "trace": [{{"boundary": 0, "tracked": [], "committed": [[3, ${{!tokens}}]]}}]}}]}}
REPORT
esac
"""


def load_session():
    loader = importlib.machinery.SourceFileLoader("gpu_session", str(SESSION))
    module = importlib.util.module_from_spec(importlib.util.spec_from_loader("gpu_session", loader))
    writes = sys.dont_write_bytecode
    sys.dont_write_bytecode = True
    loader.exec_module(module)
    sys.dont_write_bytecode = writes
    return module


def make_bundle(folder, **behaviour):
    """behaviour: what is done for the steps' programs, by a name in PATTERNS."""
    bundle = folder / "bundle"
    bundle.mkdir()
    cases = "".join(f"\n  {PATTERNS[name]}) {commands} ;;" for name, commands in behaviour.items())
    (bundle / "run").write_text(RUN.format(behaviour=cases))
    (bundle / "run").chmod(0o755)
    return bundle


PATTERNS = {
    "rows": "*filter=CudaRows*",
    "gemm": "*filter=CudaGemm*",
    "attention": "*filter=CudaAttention.*",
    "steps": "*'bench step'*",
    "goal": "*goal_steps*",
}


class Outcome:
    """What a call of gpu_session came to."""

    def __init__(self, out, status, said):
        self.out, self.status, self.said = out, status, said

    def of(self, step):
        lines = (self.out / "summary.txt").read_text().splitlines()
        found = [line for line in lines if line.split(" ", 1)[0] == step]
        assert len(found) == 1, lines
        return re.fullmatch(r"(.*), \d+ s", found[0][13:].strip())[1]

    def log(self, step):
        return (self.out / f"logs/{step}.log").read_text()

    def packed(self):
        with tarfile.open(self.out / "results.tar.gz") as archive:
            return set(archive.getnames())


def run_session(folder, bundle, *arguments, **environment):
    result = subprocess.run(
        [SESSION, "--bundle", bundle, "--out", folder / "out", *arguments],
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        timeout=60,
        env={**os.environ, **environment},
    )
    return Outcome(folder / "out", result.returncode, result.stdout + result.stderr)


def run_here(folder, bundle, monkeypatch, limits, *arguments):
    """The same in this process, with other limits."""
    module = load_session()
    monkeypatch.setattr(module, "LIMITS", limits)
    monkeypatch.setattr(module, "GRACE_SECONDS", 0.2)
    monkeypatch.setattr(sys, "argv", ["gpu_session", "--bundle", str(bundle), "--out", str(folder / "out"), *arguments])
    monkeypatch.setattr(signal, "signal", lambda *_: None)
    return Outcome(folder / "out", module.main(), "")


def is_running(process):
    try:
        return pathlib.Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


def test_help_names_the_script_its_parts_and_their_steps():
    result = subprocess.run([SESSION, "--help"], capture_output=True, text=True, timeout=60)
    assert result.returncode == 0
    assert result.stdout.startswith("usage: benchmarks/gpu_session")
    assert "speed: machine ceilings" in result.stdout


@pytest.mark.parametrize("argument", ["--no-such-option", "no_such_step"])
def test_what_it_does_not_know_is_refused_by_name(argument):
    result = subprocess.run([SESSION, argument], capture_output=True, text=True, timeout=60)
    assert result.returncode == 2
    assert argument in result.stderr


def test_the_parts_are_all_steps_and_what_checks_slowly_comes_last():
    module = load_session()
    assert {step for part in module.PARTS.values() for step in part} == set(module.STEPS)
    assert module.PARTS["correctness"][-3:] == ["memcheck", "racecheck", "synccheck"]


def test_each_suite_that_is_a_step_is_a_suite_of_the_tests():
    sources = (ROOT / "tests/runtime/model/cuda").glob("*_test.cpp")
    suites = {name for source in sources for name in re.findall(r"^TEST(?:_[FP])?\((\w+),", source.read_text(), re.M)}
    named = {filter.strip("*").removesuffix(".") for filter in load_session().SUITES.values() if filter[0] != "-"}
    assert named <= suites


def test_a_step_that_crashes_fails_or_finds_no_gpu_holds_up_no_other(tmp_path):
    bundle = make_bundle(
        tmp_path, rows="kill -ABRT $$", gemm="echo 'a_test.cpp: Skipped, no NVIDIA GPU here'", attention="exit 3"
    )
    session = run_session(tmp_path, bundle, "rows", "gemm", "attention", "sums")
    assert session.status == 1
    assert session.of("rows") == "FAILED: signal 6"
    assert session.of("gemm") == "FAILED: skipped, there is no GPU"
    assert session.of("attention") == "FAILED: exit status 3"
    assert session.of("sums") == "ok"


def test_all_is_well_where_nothing_fails(tmp_path):
    assert run_session(tmp_path, make_bundle(tmp_path), "rows", "others").status == 0


def test_a_suite_without_tests_is_no_success(tmp_path):
    bundle = make_bundle(tmp_path, rows="echo '<testsuites tests=\"0\"/>' >\"${3#*xml:}\"; exit 0")
    assert run_session(tmp_path, bundle, "rows").of("rows") == "FAILED: there are no tests CudaRows.*"


def test_a_limit_ends_all_that_a_step_started_and_the_next_step_goes_on(tmp_path, monkeypatch):
    # A rank of mpirun's: in a process group of its own, and deaf to a request to end.
    rank = f"trap '' TERM; set -m; (echo $BASHPID >{tmp_path}/rank; exec sleep 1000) & wait"
    session = run_here(tmp_path, make_bundle(tmp_path, rows=rank), monkeypatch, {"rows": 2}, "rows", "gemm")
    assert session.status == 1
    assert session.of("rows").startswith("FAILED: past its limit")
    assert session.of("gemm") == "ok"
    assert not is_running((tmp_path / "rank").read_text().strip())


def test_what_a_program_leaves_running_is_ended_with_it(tmp_path, monkeypatch):
    left = f"sleep 1000 & echo $! >{tmp_path}/left"
    session = run_here(tmp_path, make_bundle(tmp_path, rows=left), monkeypatch, {}, "rows")
    assert session.of("rows") == "ok"
    assert not is_running((tmp_path / "left").read_text().strip())


def test_when_the_time_of_all_steps_is_up_none_is_begun(tmp_path):
    session = run_session(tmp_path, make_bundle(tmp_path, rows="sleep 1000"), "--seconds", "0.5", "rows", "gemm")
    assert session.of("rows").startswith("FAILED: past its limit")
    assert session.of("gemm") == "FAILED: not begun, the time is up"


def test_a_step_of_several_measurements_fails_with_any_of_them(tmp_path):
    session = run_session(tmp_path, make_bundle(tmp_path, goal="exit 1"), "goals")
    assert session.of("goals") == "FAILED: exit status 1"
    assert "goal_batch" in session.log("goals")  # it went on


def test_the_archive_has_every_log_and_report(tmp_path):
    session = run_session(tmp_path, make_bundle(tmp_path, gemm="exit 1"), "rows", "gemm")
    assert session.packed() == {f"results/{name}" for name in ("summary.txt", "rows.log", "rows.xml", "gemm.log")}


def test_the_archive_is_there_when_the_session_is_ended_from_outside(tmp_path):
    bundle = make_bundle(tmp_path, gemm=f"sleep 1000 & echo $! >{tmp_path}/unfinished; mv {tmp_path}/unfinished {tmp_path}/left; wait")
    session = subprocess.Popen(
        [SESSION, "--bundle", bundle, "--out", tmp_path / "out", "rows", "gemm"], stdout=subprocess.DEVNULL
    )
    until = time.monotonic() + 30
    while not (tmp_path / "left").exists():
        assert time.monotonic() < until
        time.sleep(0.02)
    session.terminate()
    outcome = Outcome(tmp_path / "out", session.wait(30), "")
    assert outcome.status == 128 + signal.SIGTERM
    assert outcome.of("gemm") == "FAILED: ended from outside"
    assert outcome.packed() == {f"results/{name}" for name in ("summary.txt", "rows.log", "rows.xml", "gemm.log")}
    assert not is_running((tmp_path / "left").read_text().strip())


def test_a_packed_bundle_needs_no_tool_to_unpack(tmp_path):
    make_bundle(tmp_path)
    with tarfile.open(tmp_path / "rubato.tar.xz", "w:xz") as archive:
        archive.add(tmp_path / "bundle", "rubato")
    tools = tmp_path / "tools"
    tools.mkdir()
    for name in ("bash", "uname", "nproc"):
        (tools / name).symlink_to(subprocess.check_output(["bash", "-c", f"command -v {name}"], text=True).strip())
    (tools / "python3").symlink_to(sys.executable)
    session = run_session(tmp_path, tmp_path / "rubato.tar.xz", "machine", PATH=str(tools))
    assert session.of("machine") == "ok", session.said
    assert " rubato --version" in session.log("machine")


@pytest.mark.parametrize("step, other", [("tp2", "TOKENS_cuda2"), ("cpu", "TOKENS_cpu1")])
def test_steps_are_compared_with_those_of_another_device_or_of_two_ranks(tmp_path, step, other):
    session = run_session(tmp_path, make_bundle(tmp_path), step, TOKENS_cuda1="5", **{other: "5"})
    assert (session.status, session.of(step)) == (0, "ok")
    assert "alike: 1 policies and tasks, 1 steps one by one" in session.log(step)


@pytest.mark.parametrize("step, other, found", [("tp2", "TOKENS_cuda2", "5 and 6"), ("cpu", "TOKENS_cpu1", "6 and 5")])
def test_where_steps_differ_is_said(tmp_path, step, other, found):
    session = run_session(tmp_path, make_bundle(tmp_path), step, TOKENS_cuda1="5", **{other: "6"})
    assert (session.status, session.of(step)) == (1, "FAILED: exit status 1")
    assert f"tokens: {found}" in session.log(step)
    assert "step 0 of the first question, committed" in session.log(step)


def test_the_sanitizer_looks_at_the_projects_kernels_alone(tmp_path):
    tools = tmp_path / "tools"
    tools.mkdir()
    (tools / "compute-sanitizer").write_text("#!/bin/sh\nexit 9\n")
    (tools / "compute-sanitizer").chmod(0o755)
    session = run_session(tmp_path, make_bundle(tmp_path), "racecheck", PATH=f"{tools}:{os.environ['PATH']}")
    assert session.of("racecheck") == "FAILED: exit status 9"
    words = shlex.split(session.log("racecheck").splitlines()[0])
    assert words[1:4] == [str(tools / "compute-sanitizer"), "--tool", "racecheck"]
    assert "kernel_substring=rubato" in words


def test_the_sanitizer_is_also_looked_for_beside_the_toolkit(monkeypatch):
    module = load_session()
    monkeypatch.setattr(module.shutil, "which", lambda name: None)
    monkeypatch.setattr(module.glob, "glob", lambda pattern: ["/usr/local/cuda-12/bin/x", "/usr/local/cuda-13/bin/x"])
    assert module.compute_sanitizer() == "/usr/local/cuda-13/bin/x"
    monkeypatch.setattr(module.glob, "glob", lambda pattern: [])
    with pytest.raises(module.NotChecked, match="no compute-sanitizer"):
        module.compute_sanitizer()


def test_what_could_not_be_checked_is_not_called_ok_and_no_failure(tmp_path):
    session = run_session(tmp_path, make_bundle(tmp_path), "kernels")
    assert session.status == 0
    assert session.of("kernels").startswith("not checked: the bundle has no librubato_kernel_times.so")


def test_the_driver_is_told_of_the_library_that_times_kernels(tmp_path):
    bundle = make_bundle(tmp_path, steps='echo "$CUDA_INJECTION64_PATH"; echo "{}" >"$RUBATO_KERNEL_TIMES"')
    (bundle / "lib").mkdir()
    (bundle / "lib/librubato_kernel_times.so").write_text("")
    session = run_session(tmp_path, bundle, "kernels")
    assert session.of("kernels") == "ok"
    assert str(bundle / "lib/librubato_kernel_times.so") in session.log("kernels")
    assert "results/kernels_reuse.json" in session.packed()


def test_a_table_of_kernels_that_is_not_written_is_no_success(tmp_path):
    bundle = make_bundle(tmp_path)
    (bundle / "lib").mkdir()
    (bundle / "lib/librubato_kernel_times.so").write_text("")
    assert run_session(tmp_path, bundle, "kernels").of("kernels").startswith("FAILED: the driver did not load")


#: As much of torch as gpu_ceilings asks for; everything takes the GPU 2 ms.
TORCH = """
from types import SimpleNamespace as S
class Tensor:
    def random_(self): return self
    def copy_(self, other): return self
    def __matmul__(self, other): return self
class Event:
    def __init__(self, enable_timing): pass
    def record(self): pass
    def synchronize(self): pass
    def elapsed_time(self, other): return 2.0
uint8 = bfloat16 = None
def empty(*size, **kind): return Tensor()
def empty_like(other): return Tensor()
def randn(*size, **kind): return Tensor()
cuda = S(Event=Event, is_available=lambda: %s, get_device_name=lambda: "GPU")
"""


def session_with_torch(folder, available, *steps):
    (folder / "torch.py").write_text(TORCH % available)
    tools = folder / "tools"
    tools.mkdir()
    (tools / "python3").symlink_to(sys.executable)
    path = f"{tools}:{os.environ['PATH']}"
    return run_session(folder, make_bundle(folder), *steps, PYTHONPATH=str(folder), PYTHONDONTWRITEBYTECODE="1", PATH=path)


def test_the_floor_comes_from_what_this_card_can_do(tmp_path):
    session = session_with_torch(tmp_path, True, "ceilings", "fp8")
    assert session.of("ceilings") == "ok", session.log("ceilings")
    # 4 GiB read and as many written in 2 ms; 2 * 8192^3 operations in 2 ms.
    ceilings = json.loads((tmp_path / "out/logs/ceilings.json").read_text())
    assert ceilings == {"gpu": "GPU", "gigabytes_per_second": pytest.approx(4294.967), "teraflops": pytest.approx(549.756)}
    assert "--bandwidth 4295 --teraflops 550 --quantization fp8" in session.log("fp8")


def test_without_a_gpu_for_torch_ceilings_are_not_checked_and_steps_have_no_floor(tmp_path):
    session = session_with_torch(tmp_path, False, "ceilings", "fp8")
    assert session.of("ceilings") == "not checked: torch finds no GPU"
    assert "--bandwidth" not in session.log("fp8")
