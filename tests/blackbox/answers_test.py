"""Prompts, lengths, sampling, ends and the form of answers, over raw HTTP."""

import pytest
import tokenizers
from api import CHAT, COMPLETIONS, joined, text_of, texts
from cases import CHAIN, CODE, LONGER, QUESTION, assert_same, chat, completion, messages
from program import MODEL, in_threads

CONTEXT = 1024
EOS, END_OF_TURN, MASK = 540, 544, 541


@pytest.fixture(scope="module")
def tokenizer():
    return tokenizers.Tokenizer.from_file(str(MODEL / "tokenizer.json"))


def ids_of(tokenizer, text):
    return tokenizer.encode(text, add_special_tokens=False).ids


# Prompts


@pytest.mark.parametrize("prompt", [QUESTION, " é 漢字 🎈\n", "<|endoftext|> <|mdm_mask|>", "a"])
def test_a_prompt_is_its_tokens_and_nothing_else(api, tokenizer, prompt):
    answer = api.answer(*completion(prompt, return_token_ids=True))
    ids = answer["choices"][0]["prompt_token_ids"]
    # The package reads special tokens in text; the server must take them for plain text.
    if "<|" in prompt:
        assert not {EOS, MASK} & set(ids)
        assert tokenizer.decode(ids) == prompt
    else:
        assert ids == ids_of(tokenizer, prompt)
    assert answer["usage"]["prompt_tokens"] == len(ids)


def test_ids_and_their_text_are_the_same_prompt(api, tokenizer):
    by_text = api.answer(*completion(LONGER))
    assert_same(api.answer(*completion(ids_of(tokenizer, LONGER))), by_text)


def test_lists_of_prompts_are_answered_in_order(api, tokenizer):
    prompts = [QUESTION, LONGER, CODE]
    alone = [texts(api.answer(*completion(prompt)))[0] for prompt in prompts]
    assert texts(api.answer(*completion(prompts))) == alone
    together = api.answer(*completion([ids_of(tokenizer, prompt) for prompt in prompts], n=2))
    assert texts(together) == [text for text in alone for _ in range(2)]
    assert [choice["index"] for choice in together["choices"]] == list(range(6))


def test_text_parts_are_joined(api):
    whole = api.answer(*chat(QUESTION))
    parts = [{"type": "text", "text": QUESTION[:20]}, {"type": "text", "text": QUESTION[20:]}]
    in_parts = api.answer(CHAT, {"messages": [{"role": "user", "content": parts}], "max_tokens": 64})
    assert_same(in_parts, whole)


def test_every_role_is_taken(api):
    roles = ["system", "developer", "user", "assistant", "tool", "user"]
    turns = [{"role": role, "content": f"words of {role}", "name": "someone"} for role in roles]
    answer = api.answer(CHAT, {"messages": turns, "max_tokens": 16})
    assert answer["usage"]["prompt_tokens"] > 40


def test_an_assistant_may_have_said_nothing(api):
    turns = [{"role": "user", "content": "a"}, {"role": "assistant", "content": None}, {"role": "user", "content": "b"}]
    empty = [turns[0], {"role": "assistant", "content": ""}, turns[2]]
    assert_same(api.answer(CHAT, {"messages": turns, "max_tokens": 16}), api.answer(CHAT, {"messages": empty, "max_tokens": 16}))


def test_a_prompt_may_have_any_id_of_the_model(api):
    """Also those that the tokenizer has no text for, which the model may commit."""
    answer = api.answer(*completion([5, 575, 7], return_token_ids=True))
    assert answer["choices"][0]["prompt_token_ids"] == [5, 575, 7]


def test_no_model_means_the_served_one(api):
    path, body = chat()
    assert_same(api.answer(path, {**body, "model": "llada-tiny"}), api.answer(path, body))


def test_null_is_absent_and_unknown_fields_are_ignored(api):
    path, body = chat()
    nulls = dict.fromkeys(
        ["temperature", "top_p", "seed", "n", "stop", "stream", "stream_options", "diffusion", "logprobs", "tools"]
    )
    ignored = {"user": "me", "metadata": {"a": "b"}, "store": True, "service_tier": "auto", "whatever": [1]}
    assert_same(api.answer(path, {**body, **nulls, **ignored}), api.answer(path, body))


# Lengths


def test_completions_default_to_16_tokens(api):
    answer = api.answer(COMPLETIONS, {"prompt": QUESTION, "ignore_eos": True})
    assert answer["usage"]["completion_tokens"] == 16


def test_chat_defaults_to_512_tokens(api):
    body = {"messages": messages(QUESTION), "diffusion": {"threshold": None}}
    assert api.answer(CHAT, body)["choices"][0]["diffusion"]["steps"] == 512


def test_chat_defaults_to_what_is_left_of_the_context(api):
    answer = api.answer(CHAT, {"messages": messages("one two " * 150), "ignore_eos": True})
    assert answer["usage"]["total_tokens"] == CONTEXT
    assert answer["usage"]["completion_tokens"] < 512


def test_max_completion_tokens_wins(api):
    path, body = chat(max_tokens=64, max_completion_tokens=8, ignore_eos=True)
    assert api.answer(path, body)["usage"]["completion_tokens"] == 8


def test_the_context_can_be_filled_exactly(api, tokenizer):
    prompt = ids_of(tokenizer, "a") * (CONTEXT - 8)
    path, body = completion(prompt, max_tokens=8, ignore_eos=True)
    assert api.answer(path, body)["usage"]["total_tokens"] == CONTEXT
    assert api.refusal(path, {**body, "max_tokens": 9})["code"] == "context_length_exceeded"


# Ends


def test_usage_and_ids_agree(api, tokenizer):
    answer = api.answer(*chat(CHAIN, return_token_ids=True))
    choice = answer["choices"][0]
    assert answer["usage"] == {
        "prompt_tokens": len(choice["prompt_token_ids"]),
        "completion_tokens": len(choice["token_ids"]),
        "total_tokens": len(choice["prompt_token_ids"]) + len(choice["token_ids"]),
    }
    assert tokenizer.decode(choice["token_ids"]) == text_of(choice)


def test_the_stop_token_is_counted_and_named(api):
    choice = api.answer(*chat(return_token_ids=True))["choices"][0]
    assert choice["finish_reason"] == "stop"
    assert choice["stop_reason"] == choice["token_ids"][-1]
    assert choice["stop_reason"] in (EOS, END_OF_TURN)


def test_too_few_tokens_end_by_length(api):
    choice = api.answer(*chat(max_tokens=4, return_token_ids=True))["choices"][0]
    assert choice["finish_reason"] == "length"
    assert choice["stop_reason"] is None
    assert len(choice["token_ids"]) == 4


def test_ignore_eos_fills_every_mask(api, tokenizer):
    answer = api.answer(*chat(ignore_eos=True, return_token_ids=True))
    choice = answer["choices"][0]
    assert choice["finish_reason"] == "length"
    assert len(choice["token_ids"]) == answer["usage"]["completion_tokens"] == 64
    assert EOS in choice["token_ids"]
    assert tokenizer.decode(choice["token_ids"]) == text_of(choice)


def stops_within(text):
    """Strings of every length at many places of the text."""
    return [text[at : at + length] for at in range(0, len(text), 9) for length in (1, 2, 7)]


def test_a_stop_string_cuts_the_text_and_is_never_seen(api):
    text = text_of(api.answer(*chat(CHAIN))["choices"][0])

    def check(stop):
        path, body = chat(CHAIN, stop=stop, return_token_ids=True)
        whole = api.answer(path, body)
        choice = whole["choices"][0]
        assert text_of(choice) == text.partition(stop)[0]
        assert (choice["finish_reason"], choice["stop_reason"]) == ("stop", stop)
        assert texts(joined(path, api.stream(path, body))) == texts(whole)

    in_threads([lambda stop=stop: check(stop) for stop in dict.fromkeys(stops_within(text))], count=8)


def test_the_first_of_several_stop_strings_counts(api):
    choice = api.answer(*chat(stop=["17", "5", "no such text", ""]))["choices"][0]
    assert text_of(choice) == "12 + "
    assert choice["stop_reason"] == "5"


def test_what_a_stop_string_begins_like_is_given_when_the_text_ends(api):
    path, body = chat(stop="17\n#### 17 and more")
    whole = api.answer(path, body)
    assert texts(whole) == ["12 + 5 = 17\n#### 17"]
    assert texts(joined(path, api.stream(path, body))) == texts(whole)


# Sampling

# All of a window is committed at once, however improbable: the answer is noise.
WARM = {"temperature": 2, "ignore_eos": True, "max_tokens": 32, "diffusion": {"factor": 1000, "window": 96}}


def test_a_seed_fixes_the_answer(api):
    path, body = chat(seed=7, **WARM)
    first = api.answer(path, body)
    assert_same(api.answer(path, body), first)
    assert texts(api.answer(path, {**body, "seed": 8})) != texts(first)


def test_temperature_0_ignores_the_seed(api):
    assert texts(api.answer(*chat(seed=1))) == texts(api.answer(*chat(seed=2)))


def test_choice_i_is_the_answer_to_seed_plus_i(api):
    together = texts(api.answer(*chat(seed=40, n=3, **WARM)))
    assert together == [texts(api.answer(*chat(seed=seed, **WARM)))[0] for seed in (40, 41, 42)]
    assert len(set(together)) == 3


def test_top_k_1_is_the_most_probable_token(api):
    cold = texts(api.answer(*chat(ignore_eos=True)))
    assert texts(api.answer(*chat(temperature=2, top_k=1, seed=3, ignore_eos=True))) == cold


def test_random_bytes_are_whole_characters_in_a_stream_too(api):
    """At temperature 2 and all at once the tokens are noise: parts of characters, and bytes that are none."""
    noise = []
    for seed in range(6):
        path, body = completion("漢字 é", seed=seed, **{**WARM, "max_tokens": 96})
        noise += texts(api.answer(path, body))
        assert texts(joined(path, api.stream(path, body))) == noise[-1:]
    assert any("\ufffd" in text for text in noise)
