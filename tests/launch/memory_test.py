"""Host memory of a rank: its weights, its cache budget and at most 700 MB besides, at its peak, while it
loads and while it serves. Peak is VmHWM: everything resident, libtorch's code and mapped files included."""

import concurrent.futures
import contextlib
import json
import math
import os
import pathlib
import shlex
import shutil
import signal
import struct
import subprocess
import time
import urllib.request

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
PROGRAM = pathlib.Path(os.environ.get("RUBATO_BUILD_DIR", ROOT / "build")) / "rubato"
MODEL = ROOT / "models/llada-tiny"
BESIDES = 700_000_000


class Job:
    """A server of `tp` ranks and what its ranks take."""

    def __init__(self, tp, model, dtype, cache_tokens, ready_file):
        self.budget = budget(tp, model, dtype, cache_tokens)
        self.tp = tp
        self.ready_file = ready_file
        command = [PROGRAM, "serve", "--model", model, "--port", "0", "--dtype", dtype, "--ready-file", ready_file]
        command += ["--set", f"engine.cache_tokens={cache_tokens}", "--set", "log.level=warning"]
        line = shlex.join(["mpirun", "-np", str(tp), *(str(part) for part in command)])
        self.process = subprocess.Popen(
            ["bash", "-c", f". launch/environment.sh; exec {line}"], cwd=ROOT, stdin=subprocess.DEVNULL
        )

    def wait_until_ready(self):
        while not self.ready_file.exists():
            assert self.process.poll() is None, "the server ended"
            time.sleep(0.05)
        self.url = self.ready_file.read_text().strip()

    def peaks(self):
        """The most that each rank has had resident, in bytes."""
        ranks = []
        for status in pathlib.Path("/proc").glob("[0-9]*/status"):
            with contextlib.suppress(FileNotFoundError, ProcessLookupError):
                fields = dict(line.split(":", 1) for line in status.read_text().splitlines())
                if fields["Name"].strip() == "rubato" and int(fields["PPid"]) == self.process.pid:
                    ranks.append(1024 * int(fields["VmHWM"].split()[0]))
        assert len(ranks) == self.tp
        return ranks

    def expect_within_budget(self):
        for peak in self.peaks():
            print(f"peak {peak / 1e6:.0f} MB: weights and cache {self.budget / 1e6:.0f}, besides {(peak - self.budget) / 1e6:.0f}")
            assert peak <= self.budget + BESIDES


def budget(tp, model, dtype, cache_tokens):
    """What a rank's weights and its whole cache take."""
    command = [PROGRAM, "inspect", "--json", "--model", model, "--tp", str(tp), "--dtype", dtype]
    rank = json.loads(subprocess.run(command, capture_output=True, check=True).stdout)["ranks"][0]
    return rank["weight_bytes"] + cache_tokens * rank["cache_bytes_per_token"]


@pytest.fixture
def start(tmp_path):
    jobs = []

    def start_job(tp, model, dtype="float32", cache_tokens=1024):
        jobs.append(Job(tp, model, dtype, cache_tokens, tmp_path / "ready"))
        jobs[-1].wait_until_ready()
        return jobs[-1]

    yield start_job
    for job in jobs:
        job.process.send_signal(signal.SIGTERM)
        job.process.wait()


def complete(url, tokens, policy):
    body = {"prompt": "Ann has", "max_tokens": tokens, "ignore_eos": True, "diffusion": {"policy": policy}}
    if policy == "none":  # every row of every layer in every step; few steps
        body["diffusion"] |= {"threshold": 0.001, "block_length": tokens}
    request = urllib.request.Request(
        f"{url}/v1/completions", json.dumps(body).encode(), {"Content-Type": "application/json"}
    )
    with urllib.request.urlopen(request) as answer:
        return json.load(answer)["usage"]["completion_tokens"]


@pytest.mark.parametrize("tp", [1, 2])
def test_while_serving(tp, start):
    job = start(tp, MODEL)
    assert complete(job.url, 64, "elastic") == 64
    job.expect_within_budget()


@pytest.mark.parametrize("tp", [1, 2])
def test_while_sequences_fill_the_whole_cache(tp, start):
    sequences, length = 8, 1000
    job = start(tp, MODEL, cache_tokens=sequences * 1024)
    with concurrent.futures.ThreadPoolExecutor(sequences) as pool:
        policies = ["none" if i % 2 else "elastic" for i in range(sequences)]
        answers = pool.map(lambda policy: complete(job.url, length, policy), policies)
        assert list(answers) == sequences * [length]
    job.expect_within_budget()


def write_wide_model(folder, width):
    """A checkpoint of 131,072 ids as a sparse file: all zeros."""
    sizes = {"d_model": width, "n_layers": 2, "n_heads": 16, "mlp_hidden_size": 4 * width, "embedding_size": 131072}
    config = json.loads((MODEL / "config.json").read_text()) | sizes | {"n_kv_heads": 16, "vocab_size": 131072}
    (folder / "config.json").write_text(json.dumps(config))
    for name in ("tokenizer.json", "tokenizer_config.json"):
        shutil.copy(MODEL / name, folder)
    mlp, rows = sizes["mlp_hidden_size"], sizes["embedding_size"]
    shapes = {"wte": [rows, width], "ff_out": [rows, width], "ln_f": [width]}
    block = {"attn_norm": [width], "ff_norm": [width], "ff_proj": [mlp, width], "up_proj": [mlp, width], "ff_out": [width, mlp]}
    block |= {name: [width, width] for name in ("q_proj", "k_proj", "v_proj", "attn_out")}
    for layer in range(sizes["n_layers"]):
        shapes |= {f"blocks.{layer}.{name}": shape for name, shape in block.items()}
    header, end = {}, 0
    for name, shape in shapes.items():
        begin, end = end, end + 2 * math.prod(shape)
        header[f"model.transformer.{name}.weight"] = {"dtype": "BF16", "shape": shape, "data_offsets": [begin, end]}
    text = json.dumps(header).encode()
    with open(folder / "model.safetensors", "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        file.truncate(8 + len(text) + end)


@pytest.mark.parametrize("tp", [1, 2])
def test_while_large_tensors_are_loaded(tp, start, tmp_path):
    write_wide_model(tmp_path, width=1024)  # two of 0.27 GB
    start(tp, tmp_path, dtype="bfloat16").expect_within_budget()


def test_while_windows_are_as_large_as_clients_like(start, tmp_path):
    write_wide_model(tmp_path, width=64)  # the logits of two windows of 1000 would be 1 GB
    job = start(1, tmp_path, cache_tokens=2048)
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        assert list(pool.map(lambda policy: complete(job.url, 1000, policy), ["none", "none"])) == [1000, 1000]
    job.expect_within_budget()
