"""Streams: the same answer as without, and nothing is taken back."""

import pytest
import tokenizers
from api import joined
from cases import ALL, CHAIN, assert_same, chat, traced
from program import MODEL


@pytest.mark.parametrize("name", ALL)
def test_a_stream_joined_is_the_answer_without_stream(api, name):
    path, body = ALL[name]
    whole = api.answer(path, body)
    chunks = api.stream(path, {**body, "stream_options": {"include_usage": True}})
    assert_same(joined(path, chunks), whole)


def trace_entries(chunk):
    return [entry for choice in chunk["choices"] for entry in choice.get("diffusion", {}).get("trace", [])]


def test_each_step_is_an_event_of_its_own(api):
    path, body = traced(chat(), threshold=None)
    counts = [len(trace_entries(chunk)) for chunk in api.stream(path, body)]
    assert max(counts) == 1
    assert sum(counts) > 10


def test_a_stream_begins_before_the_answer_is_complete(api):
    """Its first event is read while the generation, longer by far than any buffer, goes on."""
    path, body = chat(max_tokens=512, ignore_eos=True, diffusion={"threshold": None, "trace": True})
    stream = api.open_stream(path, body)
    assert '"role":"assistant"' in stream.next_event()
    before = sum(choice["finish_reason"] is not None for choice in api.answer(*chat())["choices"])
    assert before == 1  # another request was answered meanwhile
    stream.leave()


def test_text_is_sent_as_soon_as_it_is_certain_and_not_before(api):
    """Text runs up to the first position that is still masked, in each step."""
    path, body = traced(chat(CHAIN, max_tokens=32, ignore_eos=True), threshold=None)
    whole = api.answer(path, body)["choices"][0]
    decode = tokenizers.Tokenizer.from_file(str(MODEL / "tokenizer.json")).decode
    prompt, ids = len(whole["prompt_token_ids"]), whole["token_ids"]
    committed, seen, wanted = set(), "", ""
    for chunk in api.stream(path, body):
        for entry in trace_entries(chunk):
            assert seen == wanted  # what the step before made certain was sent with it
            committed |= {position - prompt for position, _ in entry["committed"]}
            certain = next(i for i in range(len(ids) + 1) if i not in committed)
            wanted = decode(ids[:certain])
        seen += chunk["choices"][0]["delta"].get("content", "")
        assert wanted.startswith(seen)
    assert seen == whole["message"]["content"]


def test_choices_of_a_stream_are_kept_apart(api):
    path, body = chat(n=4, temperature=0.8, seed=5)
    streamed = joined(path, api.stream(path, body))
    assert_same(streamed["choices"], api.answer(path, body)["choices"])
