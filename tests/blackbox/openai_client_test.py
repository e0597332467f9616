"""What a user of the openai package sees."""

import openai
import pytest
import schemas
from api import COMPLETIONS
from cases import LONGER, QUESTION, QUESTIONS, messages
from program import ANSWER_SECONDS


def test_chat_answers_a_word_problem(client):
    answer = client.chat.completions.create(model="llada-tiny", messages=messages(QUESTION), max_tokens=64)
    choice = answer.choices[0]
    assert choice.message.content == "12 + 5 = 17\n#### 17"
    assert choice.message.role == "assistant"
    assert choice.finish_reason == "stop"
    assert answer.object == "chat.completion"
    assert answer.model == "llada-tiny"
    assert answer.usage.total_tokens == answer.usage.prompt_tokens + answer.usage.completion_tokens


@pytest.mark.parametrize("question", QUESTIONS)
def test_a_chat_stream_joined_is_the_answer_without_stream(client, question):
    request = {"model": "llada-tiny", "messages": messages(question), "max_tokens": 64}
    whole = client.chat.completions.create(**request)
    chunks = list(client.chat.completions.create(**request, stream=True))
    for chunk in chunks:
        schemas.validate(chunk.to_dict(), "chat_completion_chunk")
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks) == whole.choices[0].message.content
    assert chunks[0].choices[0].delta.role == "assistant"
    assert chunks[-1].choices[0].finish_reason == whole.choices[0].finish_reason


# Long enough that it still runs when what waits behind it has been looked at.
LONG = {"max_tokens": 300, "ignore_eos": True, "diffusion": {"policy": "none", "threshold": None}}


def test_a_stream_that_waits_has_heartbeats_which_the_client_reads_over(client, start_server):
    api = start_server(1, "--set", "server.stream_heartbeat_s=0.001", "--set", "engine.max_sequences=1")
    running = api.open_stream(COMPLETIONS, {**LONG, "prompt": "a"})
    queued = api.open_stream(COMPLETIONS, {"prompt": "b"})
    request = {"model": "llada-tiny", "messages": messages(LONGER), "max_tokens": 64}
    with openai.OpenAI(base_url=api.server.url + "/v1", api_key="none", timeout=ANSWER_SECONDS, max_retries=0) as waiting:
        chunks = waiting.chat.completions.create(**request, stream=True)
        assert queued.next_event() == ": \n\n"
        running.leave()
        queued.leave()
        text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks)
    assert text == client.chat.completions.create(**request).choices[0].message.content


def test_the_stream_helper_assembles_the_same_message(client):
    request = {"model": "llada-tiny", "messages": messages(LONGER), "max_tokens": 64}
    with client.chat.completions.stream(**request) as stream:
        for _ in stream:
            pass
        assembled = stream.get_final_completion()
    assert assembled.choices[0].message.content == client.chat.completions.create(**request).choices[0].message.content


def test_a_completion_stream_joined_is_the_answer_without_stream(client):
    request = {"model": "llada-tiny", "prompt": LONGER, "max_tokens": 32}
    whole = client.completions.create(**request)
    chunks = list(client.completions.create(**request, stream=True))
    for chunk in chunks:
        schemas.validate(chunk.to_dict(), "completion_chunk")
    assert whole.object == chunks[0].object == "text_completion"
    assert "".join(chunk.choices[0].text for chunk in chunks) == whole.choices[0].text


def test_usage_comes_in_a_stream_when_asked_for(client):
    request = {"model": "llada-tiny", "messages": messages(QUESTION), "max_tokens": 64}
    *chunks, last = client.chat.completions.create(**request, stream=True, stream_options={"include_usage": True})
    assert all(chunk.usage is None for chunk in chunks)
    assert last.choices == []
    assert last.usage == client.chat.completions.create(**request).usage


def test_extensions_go_through_extra_body(client):
    answer = client.chat.completions.create(
        model="llada-tiny",
        messages=messages(QUESTION),
        max_tokens=64,
        extra_body={"return_token_ids": True, "diffusion": {"policy": "none", "trace": True}},
    )
    choice = answer.choices[0].to_dict()
    assert choice["diffusion"]["policy"] == "none"
    assert len(choice["diffusion"]["trace"]) == choice["diffusion"]["forward_passes"]
    assert len(choice["token_ids"]) == answer.usage.completion_tokens


def test_the_model_is_listed_and_retrieved(client):
    listed = client.models.list().data
    assert [model.id for model in listed] == ["llada-tiny"]
    assert client.models.retrieve("llada-tiny") == listed[0]
    assert listed[0].to_dict()["max_model_len"] == 1024


def test_an_unknown_model_is_not_found(client):
    with pytest.raises(openai.NotFoundError) as failure:
        client.models.retrieve("other")
    assert failure.value.code == "model_not_found"
    assert "The model `other` does not exist." in failure.value.message
    with pytest.raises(openai.NotFoundError) as failure:
        client.chat.completions.create(model="other", messages=messages(QUESTION))
    assert failure.value.code == "model_not_found"
    assert failure.value.param == "model"


def test_a_bad_request_is_the_clients_exception(client):
    with pytest.raises(openai.BadRequestError) as failure:
        client.chat.completions.create(model="llada-tiny", messages=messages(QUESTION), temperature=3)
    assert failure.value.param == "temperature"
    assert failure.value.type == "invalid_request_error"


def test_too_long_a_request_says_both_lengths(client):
    with pytest.raises(openai.BadRequestError) as failure:
        client.completions.create(model="llada-tiny", prompt="one two " * 600, max_tokens=16)
    assert failure.value.code == "context_length_exceeded"
    assert "1024" in failure.value.message
