"""Requests of every kind, for the comparisons: streamed or not, alone or together, over 1, 2 and 4 ranks, in a batch."""

import math
import random

from api import CHAT, COMPLETIONS

QUESTION = "Ann has 12 apples. Ann buys 5 more. How many apples does Ann have now?"
LONGER = "Ben has 9 books. Ben finds 4 more. Ben gives 3 to Eva. How many books does Ben have now?"
CODE = "Write a Python function f(x, y) that returns the sum of x and y, times 3."
CHAIN = "Start at 20 and apply: +3 -5 +9 -2 +4 +1. Show each step."
QUESTIONS = [QUESTION, LONGER, CODE, CHAIN]

POLICIES = ["none", "prefix", "dual", "elastic", "interval", "dkv", "flash", "horizon"]
RULES = [{"threshold": 0.9}, {"threshold": None, "steps": 16}, {"factor": 1.0}]


def messages(question):
    return [{"role": "user", "content": question}]


def chat(question=QUESTION, **fields):
    return CHAT, {"messages": messages(question), "max_tokens": 64, **fields}


def completion(prompt=QUESTION, **fields):
    return COMPLETIONS, {"prompt": prompt, "max_tokens": 32, **fields}


def traced(case, **diffusion):
    path, body = case
    return path, {
        **body,
        "return_token_ids": True,
        "diffusion": {**body.get("diffusion", {}), **diffusion, "trace": True},
    }


def every_policy_and_rule():
    cases = {}
    for policy in POLICIES:
        for rule in RULES:
            name = f"{policy}-{'steps' if 'steps' in rule else next(iter(rule))}"
            question = QUESTIONS[len(cases) % len(QUESTIONS)]
            cases[name] = traced(chat(question), policy=policy, block_length=16, refresh_every=3, **rule)
    return cases


def at_random(count, seed):
    """Requests whose parameters are drawn, the same ones in every run."""
    rng = random.Random(seed)
    cases = {}
    for i in range(count):
        sampling = rng.choice([{}, {"temperature": 0.7, "seed": i}, {"temperature": 1.5, "top_k": 20, "top_p": 0.9, "seed": -i}])
        fields = {
            "max_tokens": rng.choice([16, 32, 48, 64]),
            "n": rng.choice([1, 1, 2]),
            "ignore_eos": rng.random() < 0.3,
            "stop": rng.choice([None, None, "##", ["= 1", "\n\n"]]),
            **sampling,
        }
        diffusion = {
            "policy": rng.choice(["elastic", "elastic", *POLICIES]),
            "window": rng.choice([4, 8, 16, 64]),
            "gamma": round(rng.uniform(0.6, 0.99), 2),
            "drift": rng.choice(["heads", "rows"]),
            "track": rng.choice([1, 2, 5]),
            "refresh_every": rng.choice([1, 4, 8]),
            "block_length": rng.choice([8, 16]),
            "threshold": round(rng.uniform(0.4, 1), 2),
        }
        make = rng.choice([chat, completion])
        cases[f"random-{i}"] = traced(make(rng.choice(QUESTIONS), **fields), **diffusion)
    return cases


ALL = {
    **every_policy_and_rule(),
    **at_random(12, seed=3),
    "many-prompts": traced(completion([QUESTION, "a", [5, 6, 7]], n=2)),
    "default": chat(),
}


def assert_same(found, wanted, where="answer", tolerance=1e-5):
    """Equal in all but id and time; similarities within `tolerance`."""
    if isinstance(wanted, dict):
        keys = wanted.keys() - {"id", "created"}
        assert found.keys() - {"id", "created"} == keys, where
        for key in keys:
            assert_same(found[key], wanted[key], f"{where}.{key}", tolerance)
    elif isinstance(wanted, list):
        assert len(found) == len(wanted), f"{where}: {found} instead of {wanted}"
        for i, (one, other) in enumerate(zip(found, wanted)):
            assert_same(one, other, f"{where}[{i}]", tolerance)
    elif ".similarity[" in where:
        assert math.isclose(found, wanted, rel_tol=0, abs_tol=tolerance), f"{where}: {found} and {wanted}"
    else:
        assert found == wanted, f"{where}: {found!r} instead of {wanted!r}"
