"""The one-way rule as files keep it: which folders a folder includes, and which libraries.

What targets link is checked when the build is configured (cmake/layers.cmake).
"""

import pathlib
import re

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
INCLUDE = re.compile(r'^\s*#\s*include\s*[<"]([^>"]+)[>"]', re.MULTILINE)

# A folder and the folders of the project that it may include beside itself and what lies in it.
# The deepest entry that holds a file counts.
MAY_INCLUDE = {
    "runtime/base": [],
    "cache": ["runtime/base"],
    "parallel": ["runtime/base"],
    "runtime/text": ["runtime/base", "cache/types.h"],
    "runtime/checkpoint": ["runtime/base", "cache"],
    "runtime/decoding": ["runtime/base", "cache"],
    "runtime/model": ["runtime/base", "runtime/checkpoint", "runtime/decoding", "cache", "parallel"],
    "runtime/engine": ["runtime/base", "runtime/decoding", "runtime/model", "cache", "parallel"],
    "runtime/replicas": ["runtime/base", "runtime/engine", "parallel"],
    "http": ["runtime/base", "runtime/engine", "runtime/text", "cache"],
    "http/openai": ["runtime/base", "runtime/engine", "runtime/text", "runtime/decoding", "cache"],
    "benchmarks": ["runtime", "cache", "parallel", "http/openai"],
    "launch": ["runtime", "cache", "parallel", "http", "benchmarks"],
}

# What of other people's is included where only. Beginnings of the name in `#include <name>`.
ONLY_IN = {
    r"(ATen|c10|torch)/": [
        "cache/store",
        "parallel",
        "runtime/model",
        "launch/engine_host.cpp",
        "launch/bench_step_command.cpp",
        "benchmarks",
    ],
    r"cuda|cublas|nccl": ["runtime/model/cuda", "parallel/cuda"],
    r"cupti": ["benchmarks/kernel_times"],
    r"mpi\.h$": ["parallel", "benchmarks"],
    r"boost/(asio|beast|url)": ["http", "benchmarks/serving"],
    r"boost/json": ["http", "runtime/checkpoint", "runtime/text", "benchmarks"],
    r"spdlog/|fmt/": ["runtime/base/log.cpp"],
    r"toml\+\+/": ["launch"],
    r"CLI/": ["launch"],
    r"pcre2": ["runtime/text"],
    r"prometheus/": ["http"],
}

# Files of a folder that goes further which must do without: the half that is tested quickly.
PURE = {
    "runtime/engine": (
        r"runtime/model/|parallel/(communicator|local_group|mpi)",
        ["runtime/engine/step_loop"],
    ),
    "runtime/replicas": (r"runtime/model/|parallel/(communicator|local_group|mpi)", []),
    "cache": (r"ATen/", ["cache/store"]),
}


def sources():
    for folder in sorted({name.split("/")[0] for name in MAY_INCLUDE}):
        for path in sorted((ROOT / folder).rglob("*")):
            if path.suffix in (".h", ".cpp"):
                yield path.relative_to(ROOT).as_posix()


def includes(name):
    return INCLUDE.findall((ROOT / name).read_text())


def within(name, folders):
    """Whether `name` is one of `folders`, lies in one, or is a file of that name without its ending."""
    return any(name == folder or name.startswith((folder + "/", folder + ".")) for folder in folders)


def owner(name):
    held = [folder for folder in MAY_INCLUDE if name.startswith(folder + "/")]
    return max(held, key=len) if held else None


def test_every_source_lies_in_a_folder_with_rules():
    assert [name for name in sources() if owner(name) is None] == []
    assert sum(1 for _ in sources()) > 100


def test_folders_include_only_what_lies_below_them():
    wrong = []
    for name in sources():
        folder = owner(name)
        allowed = [folder, *MAY_INCLUDE[folder]]
        ours = [other for other in includes(name) if (ROOT / other).exists()]
        wrong += [f"{name} includes {other}" for other in ours if not within(other, allowed)]
    assert wrong == []


@pytest.mark.parametrize("library", ONLY_IN)
def test_a_library_is_included_only_where_it_is_wrapped(library):
    wrong = [
        f"{name} includes {other}"
        for name in sources()
        for other in includes(name)
        if re.match(library, other) and not within(name, ONLY_IN[library])
    ]
    assert wrong == []


@pytest.mark.parametrize("folder", PURE)
def test_the_pure_half_of_a_folder_does_without_the_rest(folder):
    forbidden, but = PURE[folder]
    wrong = [
        f"{name} includes {other}"
        for name in sources()
        for other in includes(name)
        if name.startswith(folder + "/") and re.match(forbidden, other) and not within(name, but)
    ]
    assert wrong == []
