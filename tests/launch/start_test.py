"""Ranks that were not started alike, or would load different models: one error, and no rank goes on."""

import json
import os
import pathlib
import re
import shutil
import struct
import subprocess

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
PROGRAM = pathlib.Path(os.environ.get("RUBATO_BUILD_DIR", ROOT / "build")) / "rubato"
MODEL = ROOT / "models/llada-tiny"
MPI_ENVIRONMENT = {
    "OMPI_ALLOW_RUN_AS_ROOT": "1",
    "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1",
    "OMPI_MCA_rmaps_base_oversubscribe": "1",
    "OMP_WAIT_POLICY": "PASSIVE",
}
SERVE = [PROGRAM, "serve", "--port", "0"]  # the embedded model, from the root of the sources


def start(*ranks):
    """Starts one rank with each of the commands; returns the errors that they log."""
    arguments = []
    for rank in ranks:
        arguments += ([":"] if arguments else []) + ["-np", "1", *rank]
    result = subprocess.run(
        ["mpirun", *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        timeout=60,  # they would wait for each other, or serve, for ever
        env={**os.environ, **MPI_ENVIRONMENT},
    )
    assert result.returncode == 2, result.stderr
    assert "ready at" not in result.stderr
    found = re.findall(r" error (?:\[rank \d+\] )?(.*)", result.stderr)
    assert found, result.stderr
    return found


def the_error(*ranks):
    """The one error of all ranks."""
    errors = start(*ranks)
    assert len(errors) == 1, errors
    return errors[0]


@pytest.fixture
def copy(tmp_path):
    return shutil.copytree(MODEL, tmp_path / "copy")


def change_config(folder, **values):
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | values))


def flip_a_bit(folder, tensor):
    """Of the tensor's last byte."""
    file = folder / "model.safetensors"
    data = bytearray(file.read_bytes())
    (length,) = struct.unpack("<Q", data[:8])
    header = json.loads(data[8 : 8 + length])
    data[8 + length + header[tensor]["data_offsets"][1] - 1] ^= 1
    file.write_bytes(data)


def test_different_values_are_listed_with_their_ranks():
    other = [*SERVE, "--set", "decoding.gamma=0.5", "--dtype", "bfloat16"]
    assert the_error(SERVE, other, SERVE) == (
        'ranks differ in how they were started: model.dtype: "auto" (ranks 0, 2), "bfloat16" (rank 1); '
        "decoding.gamma: 0.9 (ranks 0, 2), 0.5 (rank 1)"
    )


def test_different_files_of_configuration(tmp_path):
    file = tmp_path / "rubato.toml"
    file.write_text("[engine]\ncache_tokens = 1024\n")
    error = the_error([*SERVE, "--config", file], SERVE)
    assert error.endswith("engine.cache_tokens: 1024 (rank 0), 16384 (rank 1)")


@pytest.mark.parametrize("bad", [0, 1])
def test_a_bad_value_on_one_rank_stops_the_other(bad):
    ranks = [SERVE, SERVE]
    ranks[bad] = [*SERVE, "--set", "decoding.gama=0.5"]
    assert the_error(*ranks).startswith(f"rank {bad}: unknown key decoding.gama")


def test_a_size_that_all_were_given_but_that_is_not_the_jobs_is_told_once():
    rank = [*SERVE, "--tp", "3"]
    assert the_error(rank, rank) == "engine.tp is 3 but 2 ranks run; start it with mpirun -np 3"


def test_an_address_that_is_none_is_refused_before_the_model_is_looked_at():
    rank = [*SERVE, "--set", "server.bind=localhost", "--model", "/no/such/folder"]
    assert the_error(rank) == (
        'server.bind is "localhost"; allowed: an IP address such as 127.0.0.1, 0.0.0.0 or ::'
    )


def test_a_ready_file_that_cannot_be_written_ends_all_ranks():
    rank = [*SERVE, "--ready-file", "/no/such/folder/ready"]
    assert the_error(rank, rank) == "cannot write /no/such/folder/ready: No such file or directory"


def test_different_commands(tmp_path):
    batch = [PROGRAM, "run-batch", "-i", "/dev/null", "-o", tmp_path / "out", "--port", "0"]
    assert "command: serve (rank 0), run-batch (rank 1)" in the_error(SERVE, batch)


def test_different_builds(tmp_path):
    data = bytearray(PROGRAM.read_bytes())
    note = data.index(b"\x04\0\0\0\x14\0\0\0\x03\0\0\0GNU\0")
    data[note + 16] ^= 0xFF  # the first byte of the build id
    other = tmp_path / "rubato"
    other.write_bytes(data)
    other.chmod(0o755)
    assert "program: rubato 0." in the_error(SERVE, [other, *SERVE[1:]])


def test_a_model_that_is_missing_on_one_rank(tmp_path):
    error = the_error(SERVE, [*SERVE, "--model", tmp_path])
    assert error == f"rank 1: {tmp_path}/config.json: no such file"


def test_different_configurations_of_the_model(copy):
    change_config(copy, max_sequence_length=512)
    error = the_error(SERVE, [*SERVE, "--model", copy])
    assert "ranks differ in the model: max_sequence_length: 1024 (rank 0), 512 (rank 1)" in error
    assert f"model.path: models/llada-tiny (rank 0), {copy} (rank 1)" in error


def test_different_weights(copy):
    flip_a_bit(copy, "model.transformer.blocks.3.up_proj.weight")
    assert "ranks differ in the model: sampled weights: " in the_error(SERVE, [*SERVE, "--model", copy])


def test_a_tokenizer_of_another_model(copy):
    change_config(copy, vocab_size=543)
    rank = [*SERVE, "--model", copy]
    assert the_error(rank, rank) == (
        f"rank 0: {copy}/tokenizer.json: has ids up to 544; vocab_size in config.json is 543"
    )


def logprobs_of(ranks, quantization, folder):
    """What some answer's tokens were given, by the program on so many ranks."""
    request = {"messages": [{"role": "user", "content": "Ann has 12 apples. Ann buys 5 more. How many apples does Ann have?"}]}
    line = {"custom_id": "1", "method": "POST", "url": "/v1/chat/completions"}
    asked, answered = folder / "asked.jsonl", folder / f"answered-{ranks}-{quantization}.jsonl"
    asked.write_text(json.dumps({**line, "body": {**request, "max_tokens": 32, "logprobs": True}}) + "\n")
    batch = [PROGRAM, "run-batch", "--quantization", quantization, "-i", asked, "-o", answered]
    subprocess.run(["mpirun", "-np", str(ranks), *batch], cwd=ROOT, check=True, timeout=60, env={**os.environ, **MPI_ENVIRONMENT})
    choice = json.loads(answered.read_text())["response"]["body"]["choices"][0]
    return [(token["token"], token["logprob"]) for token in choice["logprobs"]["content"]]


def test_weights_in_8_bits_are_others_and_the_same_on_any_number_of_ranks(tmp_path):
    fp8 = logprobs_of(1, "fp8", tmp_path)
    assert fp8 == logprobs_of(2, "fp8", tmp_path)
    assert fp8 != logprobs_of(1, "none", tmp_path)
