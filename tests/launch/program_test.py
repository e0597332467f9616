"""The program's commands that need no ranks: help, version, inspect."""

import json
import os
import pathlib
import subprocess

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
PROGRAM = pathlib.Path(os.environ.get("RUBATO_BUILD_DIR", ROOT / "build")) / "rubato"
MODEL = ROOT / "models" / "llada-tiny"


def run(*arguments):
    return subprocess.run(
        [PROGRAM, *arguments], cwd=ROOT, capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=60
    )


def test_version_is_one_line():
    result = run("--version")
    assert result.returncode == 0
    assert result.stdout.startswith("rubato ")
    assert result.stdout.count("\n") == 1


@pytest.mark.parametrize("arguments", [["--help"], ["inspect", "--help"]])
def test_help_succeeds(arguments):
    result = run(*arguments)
    assert result.returncode == 0
    assert "Usage: rubato" in result.stdout


@pytest.mark.parametrize(
    "arguments, named",
    [
        (["serv"], "serv"),
        (["inspect", "--modle", "x"], "--modle"),
        ([], "subcommand"),
        (["serve", "--ready-file", ""], "--ready-file"),
    ],
)
def test_a_misspelt_command_or_option_is_named(arguments, named):
    result = run(*arguments)
    assert result.returncode == 2
    assert named in result.stderr


def test_inspect_describes_the_embedded_model():
    result = run("inspect", "--json")
    assert result.returncode == 0, result.stderr
    assert json.loads(result.stdout)["parameters"] == 5_410_048


def test_inspect_of_a_size_that_does_not_divide_fails_and_says_which():
    result = run("inspect", "--model", MODEL, "--tp", "3")
    assert result.returncode == 1
    assert "n_heads 8" in result.stdout


def test_inspect_of_a_missing_folder_names_it():
    result = run("inspect", "--model", "/no/such/folder")
    assert result.returncode == 1
    assert "/no/such/folder" in result.stderr
