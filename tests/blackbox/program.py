"""Starts the built program the way a user does: launch/environment.sh, then mpirun."""

import ctypes
import os
import pathlib
import shlex
import signal
import subprocess
import threading
import time
import urllib.parse

ROOT = pathlib.Path(__file__).resolve().parents[2]
PROGRAM = pathlib.Path(os.environ.get("RUBATO_BUILD_DIR", ROOT / "build")) / "rubato"
MODEL = ROOT / "models" / "llada-tiny"

# Bounds for a crowded machine, not expectations: what takes longer has hung.
START_SECONDS = 90
ANSWER_SECONDS = 120
STOP_SECONDS = 60

LIBC = ctypes.CDLL(None)
PR_SET_PDEATHSIG = 1


def die_with_pytest():
    LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def mpirun(ranks, *arguments, **popen):
    """mpirun in a session of its own; the ranks end with it, and it ends with this process."""
    command = ["mpirun", "-np", str(ranks), str(PROGRAM), *map(str, arguments)]
    return subprocess.Popen(
        ["bash", "-c", f". launch/environment.sh; exec {shlex.join(command)}"],
        **{"cwd": ROOT, "stdin": subprocess.DEVNULL, "text": True, **popen},
        start_new_session=True,
        preexec_fn=die_with_pytest,
    )


def run(ranks, *arguments, **popen):
    """Runs a command to its end."""
    process = mpirun(ranks, *arguments, stdout=subprocess.PIPE, stderr=subprocess.PIPE, **popen)
    try:
        out, err = process.communicate(timeout=ANSWER_SECONDS)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        out, err = process.communicate()
        raise AssertionError(f"{arguments} still runs after {ANSWER_SECONDS} s:\n{out}{err}") from None
    return subprocess.CompletedProcess(arguments, process.returncode, out, err)


def wait_for(condition, seconds, what):
    """Polls until `condition()` holds and returns its value; fails with a message otherwise."""
    deadline = time.monotonic() + seconds
    while not (value := condition()):
        assert time.monotonic() < deadline, f"{what}: not within {seconds} s"
        time.sleep(0.02)
    return value


class Server:
    """`rubato serve` on a free port. Started at once, ready after `wait_until_ready`."""

    def __init__(self, folder, ranks, *options):
        folder.mkdir(parents=True)
        self.ranks = ranks
        self.ready_file = folder / "ready"
        self.log_file = folder / "log"
        with open(self.log_file, "w") as log:
            self.process = mpirun(
                ranks,
                *("serve", "--port", 0, "--ready-file", self.ready_file, *options),
                stdout=log,
                stderr=subprocess.STDOUT,
            )

    def wait_until_ready(self):
        def settled():
            return self.ready_file.exists() or self.process.poll() is not None

        wait_for(settled, START_SECONDS, f"a server of {self.ranks} ranks is ready")
        assert self.ready_file.exists(), f"the server did not start:\n{self.log()}"
        self.url = self.ready_file.read_text().strip()
        address = urllib.parse.urlsplit(self.url)
        self.host, self.port = address.hostname, address.port
        return self

    def log(self):
        return self.log_file.read_text()

    def rank_pids(self):
        """The ranks' process ids, in the order of the ranks."""
        children = pathlib.Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text()
        ranks = {}
        for pid in map(int, children.split()):
            environment = pathlib.Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
            for entry in environment:
                if entry.startswith(b"OMPI_COMM_WORLD_RANK="):
                    ranks[int(entry.partition(b"=")[2])] = pid
        return [ranks[rank] for rank in range(self.ranks)]

    def signal(self, number):
        self.process.send_signal(number)

    def wait_for_exit(self):
        """The exit status; the server is expected to end by itself."""
        wait_for(lambda: self.process.poll() is not None, STOP_SECONDS, "the server ends")
        return self.process.returncode

    def begin_stop(self):
        """Asks for a drain, which is quicker than mpirun's SIGTERM where nothing runs."""
        if self.process.poll() is None:
            self.signal(signal.SIGUSR1)

    def stop(self):
        self.begin_stop()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait(10)


def in_threads(calls, count=16):
    """Runs callables on `count` threads; their results in order. The first failure is raised."""
    results = [None] * len(calls)
    numbers = iter(range(len(calls)))
    lock = threading.Lock()

    def work():
        while True:
            with lock:
                number = next(numbers, None)
            if number is None:
                return
            try:
                results[number] = calls[number]()
            except BaseException as failure:
                results[number] = failure

    threads = [threading.Thread(target=work) for _ in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for result in results:
        if isinstance(result, BaseException):
            raise result
    return results
