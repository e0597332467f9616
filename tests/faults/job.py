"""A served job as the fault tests see it: its processes, its log, its answers."""

import http.client
import json
import os
import pathlib
import signal
import subprocess
import threading
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
BUILD = pathlib.Path(os.environ.get("RUBATO_BUILD_DIR", ROOT / "build"))
MPI_ENVIRONMENT = {
    "OMPI_ALLOW_RUN_AS_ROOT": "1",
    "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1",
    "OMPI_MCA_odls_base_sigkill_timeout": "0",
    "OMPI_MCA_btl_vader_single_copy_mechanism": "none",
    "OMP_WAIT_POLICY": "PASSIVE",
}
PATIENCE_S = 60  # for what must come, on a machine that is busy with other things


def wait_for(condition, what, patience_s=PATIENCE_S):
    """What `condition()` returns, as soon as it is true."""
    end = time.monotonic() + patience_s
    while time.monotonic() < end:
        if result := condition():
            return result
        time.sleep(0.02)
    raise AssertionError(f"{what}: not within {patience_s} s")


def state_and_parent(pid):
    """What /proc says of a process; ("gone", 0) when it says nothing."""
    try:
        state, parent = pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[:2]
    except OSError:
        return "gone", 0
    return state, int(parent)


def is_gone(pid):
    """Whether a process has ended, even if nobody has taken note yet (a zombie)."""
    return state_and_parent(pid)[0] in ("gone", "Z")


def descendants(pid):
    """The processes below `pid`, by their ids."""
    children = {}
    for entry in pathlib.Path("/proc").iterdir():
        if entry.name.isdigit():
            children.setdefault(state_and_parent(entry.name)[1], []).append(int(entry.name))
    below, pending = [], [pid]
    while pending:
        found = children.get(pending.pop(), [])
        below += found
        pending += found
    return below


class Job:
    """A server started by `command`; ended, with all its ranks, at the end of the `with` block."""

    def __init__(self, command, folder, cwd=ROOT, **environment):
        self.log_file = folder / "log"
        self.started = time.monotonic()
        with open(self.log_file, "wb") as log:
            self.process = subprocess.Popen(
                [str(part) for part in command],
                cwd=cwd,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env={**os.environ, **MPI_ENVIRONMENT, **environment},
                start_new_session=True,
            )

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for pid in [self.process.pid, *descendants(self.process.pid)]:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        self.process.wait()

    @property
    def log(self):
        return self.log_file.read_text(errors="replace")

    def wait_ready(self, times=1):
        """Waits until the log has said so often that the server is ready."""

        def addresses():
            assert self.process.poll() is None, f"ended with {self.process.returncode}:\n{self.log}"
            lines = [line.split() for line in self.log.splitlines() if "ready at http://" in line and "[rank" in line]
            return [line[-1] for line in lines][times - 1 :]

        self.port = int(wait_for(addresses, "ready")[0].rpartition(":")[2])
        return self

    def ranks(self):
        """The ranks' process ids, in rank order."""
        found = {}
        for pid in descendants(self.process.pid):
            try:
                variables = pathlib.Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
            except OSError:
                continue
            for variable in variables:
                if variable.startswith(b"OMPI_COMM_WORLD_RANK="):
                    found[int(variable.partition(b"=")[2])] = pid
        return [found[rank] for rank in sorted(found)]

    def wait_end(self, patience_s=PATIENCE_S):
        """The exit status, and how long it took from now."""
        begin = time.monotonic()
        status = self.process.wait(patience_s)
        return status, time.monotonic() - begin

    def request(self, method, path, body=None, timeout=PATIENCE_S):
        """Status, headers and JSON of an answer; raises OSError or HTTPException without one."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=timeout)
        try:
            headers = {"Content-Type": "application/json"} if body is not None else {}
            connection.request(method, path, None if body is None else json.dumps(body), headers)
            response = connection.getresponse()
            return response.status, response.headers, json.loads(response.read())
        finally:
            connection.close()

    def complete(self, max_tokens=16, **fields):
        return self.request("POST", "/v1/completions", completion(max_tokens, **fields))

    def health(self):
        return self.request("GET", "/health")[0]


def completion(max_tokens=16, **fields):
    return {"prompt": "Tom has 3 apples.", "max_tokens": max_tokens, **fields}


#: Takes as many steps as `max_tokens` says, and tells of each.
LONG = {"stream": True, "ignore_eos": True, "diffusion": {"policy": "none", "threshold": None, "trace": True}}


class Stream:
    """A streamed answer, read as it comes."""

    def __init__(self, connection):
        self.connection = connection
        self.socket = connection.sock
        self.response = connection.getresponse()
        assert self.response.status == 200, self.response.read()

    def read_event(self):
        """The next event's data; None at the end."""
        for line in iter(self.response.readline, b""):
            if line.startswith(b"data: "):
                return line[6:].decode().strip()
        return None

    def read_to_end(self):
        events = list(iter(self.read_event, None))
        self.close()
        return events

    def close(self):
        self.response.close()
        self.connection.close()


def open_stream(job, body):
    connection = http.client.HTTPConnection("127.0.0.1", job.port, timeout=PATIENCE_S)
    connection.request("POST", "/v1/completions", json.dumps(body), {"Content-Type": "application/json"})
    return Stream(connection)


class Load:
    """Clients that ask for long answers, one after the other, until the block ends or the server does. The block begins
    when each of them has read something.
    """

    def __init__(self, job, clients=4):
        self.job = job
        self.stopping = False
        self.reading = threading.Semaphore(0)
        self.threads = [threading.Thread(target=self.ask) for _ in range(clients)]

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        for _ in self.threads:
            assert self.reading.acquire(timeout=PATIENCE_S), "an answer did not begin"
        return self

    def __exit__(self, *_):
        self.stopping = True
        for thread in self.threads:
            thread.join()

    def ask(self):
        first = True
        while not self.stopping:
            try:
                stream = open_stream(self.job, completion(256, **LONG))
                while stream.read_event() and not self.stopping:
                    if first:
                        self.reading.release()
                    first = False
                stream.close()
            except (OSError, http.client.HTTPException):
                return  # the server has gone
