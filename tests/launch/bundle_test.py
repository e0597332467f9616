"""launch/bundle: what it makes of a build runs from wherever it is unpacked."""

import os
import pathlib
import re
import subprocess
import tarfile

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
BUILD = pathlib.Path(os.environ.get("RUBATO_BUILD_DIR", ROOT / "build"))
MOST_BYTES = 60 << 20


def torch_of(build):
    cache = (build / "CMakeCache.txt").read_text()
    return re.search(r"^RUBATO_TORCH_DIR:PATH=(.+)$", cache, re.M)[1]


@pytest.fixture(scope="module")
def unpacked(tmp_path_factory):
    folder = tmp_path_factory.mktemp("bundle")
    made = subprocess.run(
        [ROOT / "launch/bundle", "--build", BUILD, folder / "rubato"],
        capture_output=True,
        text=True,
        timeout=120,
        env={**os.environ, "XZ_OPT": "-0"},  # packed quickly
    )
    assert made.returncode == 0, made.stderr
    (folder / "elsewhere").mkdir()
    with tarfile.open(folder / "rubato.tar.xz") as archive:
        archive.extractall(folder / "elsewhere")
    (folder / "rubato").rename(folder / "moved_away")  # nothing may still look for it there
    return folder / "elsewhere/rubato"


def run(bundle, *arguments):
    environment = {"PATH": "/usr/bin:/bin", "HOME": str(bundle), "RUBATO_TORCH_DIR": torch_of(BUILD)}
    return subprocess.run(
        [bundle / "run", *arguments], cwd="/", env=environment, capture_output=True, text=True, timeout=60
    )


def test_it_reads_its_model(unpacked):
    result = run(unpacked, "rubato", "inspect", "--model", unpacked / "llada-tiny")
    assert result.returncode == 0, result.stderr
    assert "d_model" in result.stdout


def test_it_brings_an_mpirun_of_its_own(unpacked):
    result = run(unpacked, "mpirun", "-np", "2", unpacked / "run", "rubato", "--version")
    assert result.returncode == 0, result.stderr
    assert result.stdout.count("rubato ") == 2


def test_its_programs_find_all_their_libraries(unpacked):
    libraries = f"{unpacked}/lib:{torch_of(BUILD)}/lib"
    for program in ("bin/rubato", "openmpi/bin/orterun"):
        listed = subprocess.run(
            ["ldd", unpacked / program], env={"PATH": "/usr/bin:/bin", "LD_LIBRARY_PATH": libraries}, capture_output=True, text=True
        ).stdout
        assert f"{unpacked}/lib/" in listed
        assert "not found" not in listed


def test_it_is_small(unpacked):
    assert sum(file.stat().st_size for file in unpacked.rglob("*") if not file.is_symlink()) < MOST_BYTES
