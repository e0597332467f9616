"""benchmarks/lm_eval, as far as it can be tested without the harness: the files, and what counts as right."""

import importlib.util
import json
import pathlib
import re

import pytest
import yaml

ROOT = pathlib.Path(__file__).resolve().parents[2]
FOLDER = ROOT / "benchmarks" / "lm_eval"
TASKS = ["word_problem", "chain", "code"]


class Loader(yaml.SafeLoader):
    """Knows the harness's tag."""


Loader.add_constructor("!function", lambda loader, node: node.value)


def load(name):
    return yaml.load((FOLDER / name).read_text(), Loader)


def task_of(name):
    task = load(f"{name}.yaml")
    return {**load(task["include"]), **task}


def questions_of(name):
    lines = (ROOT / task_of(name)["dataset_kwargs"]["data_files"]).read_text().splitlines()
    return [json.loads(line) for line in lines]


@pytest.fixture(scope="module")
def scoring():
    spec = importlib.util.spec_from_file_location("code_scoring", FOLDER / "code_scoring.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    yield module
    process = module.scorer()
    process.stdin.close()
    process.wait()


def test_the_group_names_every_task():
    assert load("rubato.yaml")["task"] == [task_of(name)["task"] for name in TASKS]


@pytest.mark.parametrize("name", TASKS)
def test_the_fields_of_a_task_are_those_of_its_questions(name):
    task = task_of(name)
    for question in questions_of(name):
        for text in (task["doc_to_text"], task["doc_to_target"]):
            assert re.fullmatch(r"{{(\w+)}}", text)[1] in question


@pytest.mark.parametrize("name", ["word_problem", "chain"])
def test_the_last_number_after_hashes_is_the_answer(name):
    pattern = task_of(name)["filter_list"][0]["filter"][0]
    assert pattern["group_select"] == -1
    for question in questions_of(name):
        found = re.findall(pattern["regex_pattern"], f"3 + 4 = 7\n#### 7 no,\n#### {question['expected']}")
        assert found[-1] == question["expected"]


def test_code_is_judged_by_what_it_does(scoring):
    question = next(q for q in questions_of("code") if q["expected"].endswith("return (x + y) * 4"))

    def judged(code):
        return scoring.process_results(question, [code])["acc"]

    name = question["entry"]
    assert judged(question["expected"]) == 1
    assert judged(f"def {name}(a, b):\n    return 4 * b + 4 * a\n```\nand so on") == 1
    assert judged(f"def {name}(x, y):\n    return x + y * 4") == 0
    assert judged("I do not know") == 0
