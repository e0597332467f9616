"""Judges generated code for lm_eval as `rubato bench policies` does: with benchmarks/policies/tasks/score_python.py."""

import functools
import json
import pathlib
import subprocess
import sys

SCORER = pathlib.Path(__file__).resolve().parents[1] / "policies" / "tasks" / "score_python.py"


@functools.cache
def scorer():
    process = subprocess.Popen([sys.executable, SCORER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdout.readline() == "ready\n"
    return process


def process_results(doc, results):
    request = {key: doc[key] for key in ("entry", "inputs", "expected")}
    process = scorer()
    print(json.dumps({**request, "code": results[0]}), file=process.stdin, flush=True)
    return {"acc": float(process.stdout.readline() == "right\n")}
