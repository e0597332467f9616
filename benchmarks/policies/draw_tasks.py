"""Draws the questions of `rubato bench policies` with the embedded model's samplers.

    python3 benchmarks/policies/draw_tasks.py

writes tasks/*.jsonl beside this file: the same questions each time. They come from a seed of their own, which neither the
training (models/llada-tiny/recipe) nor its evaluation uses. benchmarks/policies/README.md describes a line.
"""
import argparse
import json
import pathlib
import random
import sys

HERE = pathlib.Path(__file__).resolve().parent
RECIPE = HERE.parents[1] / "models" / "llada-tiny" / "recipe"
INPUTS = [[0, 0], [1, 2], [7, 3], [-4, 5], [12, 12], [3, 20], [9, 1]]


def record(task, question, answer):
    if task == "code":
        entry = answer.split("def ")[1].split("(")[0]
        return {"question": question, "score": "python", "expected": answer, "entry": entry, "inputs": INPUTS}
    if task == "savings":
        return {"question": question, "score": "begins", "expected": answer}
    return {"question": question, "score": "number", "expected": answer.split("#### ")[1]}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=400, help="questions of each task, a quarter of savings (default %(default)s)")
    parser.add_argument("--seed", type=int, default=251014973, help="(default %(default)s)")
    arguments = parser.parse_args()
    sys.path.insert(0, str(RECIPE))
    import tasks

    for task in tasks.TASKS:
        rng = random.Random(f"{arguments.seed} {task}")
        lines = {}
        count = arguments.count // 4 if task == "savings" else arguments.count  # they are long
        while len(lines) < count:  # no question twice
            _, question, answer, _ = tasks.sample(rng, task)
            lines.setdefault(question, json.dumps(record(task, question, answer)))
        (HERE / "tasks" / f"{task}.jsonl").write_text("\n".join(lines.values()) + "\n")


if __name__ == "__main__":
    main()
