"""Fields beyond plain decoding: where the text ends, what it is made of, log-probabilities, infill, biases."""

import random

import pytest
import tokenizers
from api import CHAT, COMPLETIONS, joined, text_of
from cases import CHAIN, POLICIES, QUESTION, QUESTIONS, assert_same, chat, completion
from conftest import RANKS
from program import MODEL, in_threads

TOKENIZER = tokenizers.Tokenizer.from_file(str(MODEL / "tokenizer.json"))
EOS, MASK, END_OF_TURN = (TOKENIZER.token_to_id(f"<|{name}|>") for name in ("endoftext", "mdm_mask", "eot_id"))


def choice_of(answer):
    return answer["choices"][0]


def ids_of(api, path, body):
    return choice_of(api.answer(path, {**body, "return_token_ids": True}))["token_ids"]


def fields_at_random(count, seed):
    rng = random.Random(seed)
    cases = {}
    for i in range(count):
        fields = {
            "min_tokens": rng.choice([0, 0, 5, 30]),
            "logit_bias": {str(rng.randrange(EOS)): rng.uniform(-5, 5) for _ in range(rng.choice([0, 3]))},
            "stop_token_ids": rng.choice([[], [], [280], [16, 17]]),
            "include_stop_str_in_output": rng.random() < 0.5,
            "skip_special_tokens": rng.random() < 0.5,
            "stop": rng.choice([None, None, "\n"]),
            "ignore_eos": rng.random() < 0.3,
            "max_tokens": rng.choice([32, 48]),
            "return_token_ids": True,
            "diffusion": {"policy": rng.choice(["elastic", *POLICIES]), "block_length": 16, "trace": True},
        }
        if rng.random() < 0.5:
            cases[f"chat-{i}"] = chat(rng.choice(QUESTIONS), **fields, logprobs=True, top_logprobs=rng.choice([0, 3]))
        else:
            more = {"echo": True} if rng.random() < 0.3 else {"logprobs": rng.choice([0, 3])}
            suffix = rng.choice([None, "\n#### 17"])
            cases[f"completion-{i}"] = completion(rng.choice(QUESTIONS), **fields, **more, suffix=suffix)
    return cases


AT_RANDOM = fields_at_random(16, seed=7)


@pytest.fixture(scope="module")
def wanted(servers):
    return {name: servers[1].answer(path, body) for name, (path, body) in AT_RANDOM.items()}


@pytest.mark.parametrize("ranks", RANKS)
def test_answers_depend_neither_on_the_ranks_nor_on_what_else_runs(servers, wanted, ranks):
    calls = [lambda p=path, b=body: servers[ranks].answer(p, b) for path, body in AT_RANDOM.values()]
    for name, answer in zip(AT_RANDOM, in_threads(calls, count=16)):
        assert_same(answer, wanted[name], name)


@pytest.mark.parametrize("name", AT_RANDOM)
def test_a_stream_joined_is_the_answer_without_stream(api, wanted, name):
    path, body = AT_RANDOM[name]
    chunks = api.stream(path, {**body, "stream_options": {"include_usage": True}})
    assert_same(joined(path, chunks), wanted[name])


def test_a_stop_token_ends_the_text_and_the_work(api):
    path, body = chat(CHAIN, diffusion={"policy": "none", "block_length": 16})
    whole = choice_of(api.answer(path, {**body, "return_token_ids": True}))
    stop = whole["token_ids"][6]
    first = whole["token_ids"].index(stop)
    ended = choice_of(api.answer(path, {**body, "return_token_ids": True, "stop_token_ids": [stop]}))
    assert ended["token_ids"] == whole["token_ids"][: first + 1]
    assert (ended["finish_reason"], ended["stop_reason"]) == ("stop", stop)
    assert text_of(ended) == TOKENIZER.decode(whole["token_ids"][:first])
    assert ended["diffusion"]["forward_passes"] < whole["diffusion"]["forward_passes"]


def test_a_stop_token_counts_under_ignore_eos_too(api):
    path, body = chat(ignore_eos=True)
    stop = ids_of(api, path, body)[3]
    assert choice_of(api.answer(path, {**body, "stop_token_ids": [stop]}))["stop_reason"] == stop


@pytest.mark.parametrize("included", [False, True])
def test_what_ended_the_text_is_part_of_it_if_asked_for(api, included):
    fields = {"include_stop_str_in_output": included}
    whole = text_of(choice_of(api.answer(*chat())))
    by_string = api.answer(*chat(stop="\n", **fields))
    assert text_of(choice_of(by_string)) == whole[: whole.index("\n") + included]
    special = text_of(choice_of(api.answer(*chat(skip_special_tokens=False, **fields))))
    assert special == whole + "<|eot_id|>" * included


def test_special_tokens_have_text_if_they_are_not_skipped(api):
    path, body = chat(ignore_eos=True)
    ids = ids_of(api, path, body)
    for skipped in (True, False):
        text = text_of(choice_of(api.answer(path, {**body, "skip_special_tokens": skipped})))
        assert text == TOKENIZER.decode(ids, skip_special_tokens=skipped)


def test_echo_gives_the_prompt_back(api):
    ids = TOKENIZER.encode(QUESTION, add_special_tokens=False).ids
    plain = api.answer(*completion([QUESTION, CHAIN]))
    for prompt in ([QUESTION, CHAIN], [ids, CHAIN]):
        if isinstance(prompt[0], list):
            prompt = [ids, TOKENIZER.encode(CHAIN, add_special_tokens=False).ids]
        echoed = api.answer(*completion(prompt, echo=True, stop="apples"))
        texts = [text_of(choice) for choice in plain["choices"]]
        for found, question, text in zip(echoed["choices"], (QUESTION, CHAIN), texts):
            assert found["text"] == question + text.partition("apples")[0]


def test_usage_in_every_chunk_grows_to_the_final_usage(api):
    path, body = chat(n=2, temperature=0.5, seed=3)
    options = {"include_usage": True, "continuous_usage_stats": True}
    chunks = api.stream(path, {**body, "stream_options": options})
    counts = [chunk["usage"]["completion_tokens"] for chunk in chunks]
    assert counts == sorted(counts) and len(set(counts)) > 1
    assert chunks[-2]["usage"] == chunks[-1]["usage"] == api.answer(path, body)["usage"]


def check_alternatives(logprob, alternatives, count):
    assert len(alternatives) == count
    assert alternatives == sorted(alternatives, reverse=True)
    assert logprob <= 0


@pytest.mark.parametrize("top", [0, 5, 20])
def test_a_chat_has_logprobs_of_each_token(api, top):
    path, body = chat(CHAIN, max_tokens=128, logprobs=True, top_logprobs=top, return_token_ids=True)
    answer = api.answer(path, body)
    choice = choice_of(answer)
    content = choice["logprobs"]["content"]
    assert len(content) == answer["usage"]["completion_tokens"]
    for token, entry in zip(choice["token_ids"], content):
        assert entry["token"] == TOKENIZER.id_to_token(token).replace("Ġ", " ").replace("Ċ", "\n")
        alternatives = entry["top_logprobs"]
        check_alternatives(entry["logprob"], [other["logprob"] for other in alternatives], top)
        if top:
            assert alternatives[0]["logprob"] >= entry["logprob"]
    assert bytes(byte for entry in content[:-1] for byte in entry["bytes"]).decode() == text_of(choice)
    assert content[-1]["token"] == "<|eot_id|>"


@pytest.mark.parametrize("top", [0, 5, 20])
def test_a_completion_has_logprobs_side_by_side(api, top):
    path, body = completion(logprobs=top, ignore_eos=True, skip_special_tokens=False)
    choice = choice_of(api.answer(path, body))
    found = choice["logprobs"]
    assert len({len(found[key]) for key in ("tokens", "token_logprobs", "top_logprobs", "text_offset")}) == 1
    for token, logprob, others, offset in zip(
        found["tokens"], found["token_logprobs"], found["top_logprobs"], found["text_offset"]
    ):
        assert choice["text"][offset:].startswith(token)
        assert others[token] == logprob
        check_alternatives(logprob, list(others.values())[:top], top)


def test_a_logprob_is_the_confidence_of_the_step_that_committed_it(api):
    """At a threshold, every commit but a step's most confident one is at least that confident."""
    path, body = chat(CHAIN, logprobs=True, return_token_ids=True, ignore_eos=True)
    body["diffusion"] = {"threshold": 0.7, "trace": True}
    choice = choice_of(api.answer(path, body))
    first = len(choice["prompt_token_ids"])
    logprobs = [entry["logprob"] for entry in choice["logprobs"]["content"]]
    several = 0
    for step in choice["diffusion"]["trace"]:
        confidences = [2.718281828459045 ** logprobs[position - first] for position, _ in step["committed"]]
        several += len(confidences) > 1
        assert len(confidences) == 1 or min(confidences) >= 0.7
    assert several > 3


def test_tokens_before_min_tokens_end_nothing(api):
    path, body = chat(max_tokens=48)
    short = len(ids_of(api, path, body))
    for least in (short + 3, 40, 48):
        for policy in POLICIES:
            fields = {"min_tokens": least, "diffusion": {"policy": policy, "block_length": 16}}
            ids = ids_of(api, path, {**body, **fields})
            assert len(ids) >= least
            assert not {EOS, END_OF_TURN} & set(ids[:least])
    assert len(ids_of(api, path, {**body, "min_tokens": 40, "stop": "7"})) > 40


def test_a_bias_forbids_and_forces(api):
    path, body = chat(ignore_eos=True, max_tokens=16)
    ids = ids_of(api, path, body)
    common = max(set(ids), key=ids.count)
    assert common not in ids_of(api, path, {**body, "logit_bias": {str(common): -100}})
    assert set(ids_of(api, path, {**body, "logit_bias": {"20": 100}})) == {20}


@pytest.mark.parametrize("policy", POLICIES)
def test_infill_sees_what_comes_after(api, policy):
    diffusion = {"policy": policy, "block_length": 8, "trace": True}
    fields = {"max_tokens": 16, "ignore_eos": True, "logprobs": 1, "diffusion": diffusion}
    plain = api.answer(*completion("12 + 5 = ", **fields))
    answers = [api.answer(*completion("12 + 5 = ", suffix=suffix, **fields)) for suffix in ("\n#### 17", "\n#### 99")]
    suffix_tokens = len(TOKENIZER.encode("\n#### 17", add_special_tokens=False).ids)
    for answer in answers:
        assert answer["usage"]["prompt_tokens"] == plain["usage"]["prompt_tokens"] + suffix_tokens
        positions = [p for step in choice_of(answer)["diffusion"]["trace"] for p, _ in step["committed"]]
        assert sorted(positions) == list(range(plain["usage"]["prompt_tokens"], plain["usage"]["prompt_tokens"] + 16))
    # The tokens may well be the same, but the model is not as sure of them.
    seventeen, ninety_nine = (choice_of(answer)["logprobs"]["token_logprobs"] for answer in answers)
    assert seventeen != ninety_nine


def test_tokenize_and_detokenize_are_inverse(api):
    for text in ("12 + 5 = 17\n", "é漢🎈 <|eot_id|>", ""):
        found = api.answer("/tokenize", {"prompt": text})
        assert found["tokens"] == TOKENIZER.encode(text, add_special_tokens=False).ids or "<|" in text
        assert found["count"] == len(found["tokens"])
        assert api.answer("/detokenize", {"tokens": found["tokens"]}) == {"prompt": text}


def test_tokenize_tells_each_tokens_text_on_demand(api):
    found = api.answer("/tokenize", {"prompt": "12 + é", "return_token_strs": True})
    assert found["token_strs"] == [TOKENIZER.decode([id], skip_special_tokens=False) for id in found["tokens"]]


def test_a_trace_tells_the_logprobs_of_what_each_step_committed(api):
    path, body = chat(CHAIN, logprobs=True, return_token_ids=True, diffusion={"trace": True})
    choice = choice_of(api.answer(path, body))
    told = {}
    for step in choice["diffusion"]["trace"]:
        assert len(step["logprobs"]) == len(step["committed"])
        told.update((position, entry) for (position, _), entry in zip(step["committed"], step["logprobs"]))
    first = len(choice["prompt_token_ids"])
    assert [told[first + i] for i in range(len(choice["token_ids"]))] == choice["logprobs"]["content"]


def test_tokenize_counts_what_a_chat_costs(api):
    path, body = chat(CHAIN)
    found = api.answer("/tokenize", {"messages": body["messages"]})
    assert found["count"] == api.answer(path, body)["usage"]["prompt_tokens"]
    assert found["max_model_len"] == 1024


# (routes, fields, param)
MISTAKES = [
    ("/tokenize", {}, "prompt"),
    ("/tokenize", {"prompt": "a", "messages": []}, "prompt"),
    ("/tokenize", {"prompt": 5}, "prompt"),
    ("/tokenize", {"messages": 5}, "messages"),
    ("/tokenize", {"prompt": "a", "add_special_tokens": 1}, "add_special_tokens"),
    ("/tokenize", {"prompt": "a", "return_token_strs": 1}, "return_token_strs"),
    ("/detokenize", {}, "tokens"),
    ("/detokenize", {"tokens": [576]}, "tokens"),
    ("/detokenize", {"tokens": ["a"]}, "tokens"),
]


@pytest.mark.parametrize("path, body, param", MISTAKES)
def test_a_mistake_names_its_field(api, path, body, param):
    assert api.refusal(path, body)["param"] == param
    assert api.get(path).status == 405
