"""A client's mistakes: each is answered with its status, the field's path and what is allowed. Tables, to be extended."""

import json

import pytest
from api import CHAT, COMPLETIONS, joined
from cases import QUESTION, assert_same, chat, completion, messages

BOTH = (CHAT, COMPLETIONS)
BASE = {CHAT: {"messages": messages("a"), "max_tokens": 16}, COMPLETIONS: {"prompt": "a", "max_tokens": 16}}


def user(content):
    return {"messages": [{"role": "user", "content": content}]}


# (routes, fields, param): a wrong type, a value out of range, or two fields that contradict each other
MISTAKES = [
    (BOTH, {"model": 7}, "model"),
    (BOTH, {"max_tokens": 0}, "max_tokens"),
    (BOTH, {"max_tokens": -3}, "max_tokens"),
    (BOTH, {"max_tokens": "16"}, "max_tokens"),
    (BOTH, {"max_tokens": 1.5}, "max_tokens"),
    (BOTH, {"max_tokens": True}, "max_tokens"),
    ((CHAT,), {"max_completion_tokens": 0}, "max_completion_tokens"),
    ((CHAT,), {"max_completion_tokens": []}, "max_completion_tokens"),
    (BOTH, {"temperature": -0.1}, "temperature"),
    (BOTH, {"temperature": 2.1}, "temperature"),
    (BOTH, {"temperature": "hot"}, "temperature"),
    (BOTH, {"top_p": 0}, "top_p"),
    (BOTH, {"top_p": 1.1}, "top_p"),
    (BOTH, {"top_p": [1]}, "top_p"),
    (BOTH, {"top_k": -2}, "top_k"),
    (BOTH, {"top_k": 1.5}, "top_k"),
    (BOTH, {"seed": "1"}, "seed"),
    (BOTH, {"seed": 2**63}, "seed"),
    (BOTH, {"seed": 0.5}, "seed"),
    (BOTH, {"n": 0}, "n"),
    (BOTH, {"n": 17}, "n"),
    (BOTH, {"n": "2"}, "n"),
    (BOTH, {"stop": 5}, "stop"),
    (BOTH, {"stop": ["a", 1]}, "stop"),
    (BOTH, {"stop": list("abcde")}, "stop"),
    (BOTH, {"stop": {}}, "stop"),
    (BOTH, {"stop": ["a", "b" * 4097]}, "stop"),
    (BOTH, {"ignore_eos": 1}, "ignore_eos"),
    (BOTH, {"stop_token_ids": 5}, "stop_token_ids"),
    (BOTH, {"stop_token_ids": ["5"]}, "stop_token_ids"),
    (BOTH, {"stop_token_ids": [576]}, "stop_token_ids"),
    (BOTH, {"stop_token_ids": [541]}, "stop_token_ids"),
    (BOTH, {"stop_token_ids": [1] * 65}, "stop_token_ids"),
    (BOTH, {"include_stop_str_in_output": "no"}, "include_stop_str_in_output"),
    (BOTH, {"skip_special_tokens": 0}, "skip_special_tokens"),
    (BOTH, {"add_special_tokens": "x"}, "add_special_tokens"),
    (BOTH, {"min_tokens": -1}, "min_tokens"),
    (BOTH, {"min_tokens": 17}, "min_tokens"),
    (BOTH, {"logit_bias": [1]}, "logit_bias"),
    (BOTH, {"logit_bias": {"x": 1}}, "logit_bias"),
    (BOTH, {"logit_bias": {"576": 1}}, "logit_bias"),
    (BOTH, {"logit_bias": {"541": 1}}, "logit_bias"),
    (BOTH, {"logit_bias": {"5": -101}}, "logit_bias.5"),
    (BOTH, {"logit_bias": {"5": "x"}}, "logit_bias.5"),
    ((CHAT,), {"logprobs": 1}, "logprobs"),
    ((CHAT,), {"top_logprobs": 2}, "top_logprobs"),
    ((CHAT,), {"logprobs": True, "top_logprobs": 21}, "top_logprobs"),
    ((COMPLETIONS,), {"logprobs": True}, "logprobs"),
    ((COMPLETIONS,), {"logprobs": 21}, "logprobs"),
    ((COMPLETIONS,), {"echo": 1}, "echo"),
    ((COMPLETIONS,), {"echo": True, "logprobs": 1}, "echo"),
    ((COMPLETIONS,), {"suffix": ["b"]}, "suffix"),
    (BOTH, {"stream": True, "stream_options": {"continuous_usage_stats": 1}}, "stream_options.continuous_usage_stats"),
    (BOTH, {"return_token_ids": "yes"}, "return_token_ids"),
    (BOTH, {"stream": "true"}, "stream"),
    (BOTH, {"stream_options": {"include_usage": True}}, "stream_options"),
    (BOTH, {"stream": False, "stream_options": {}}, "stream_options"),
    (BOTH, {"stream": True, "stream_options": []}, "stream_options"),
    (BOTH, {"stream": True, "stream_options": {"include_usage": 1}}, "stream_options.include_usage"),
    ((CHAT,), {"messages": None}, "messages"),
    ((CHAT,), {"messages": []}, "messages"),
    ((CHAT,), {"messages": "hello"}, "messages"),
    ((CHAT,), {"messages": ["hello"]}, "messages[0]"),
    ((CHAT,), {"messages": [{"content": "a"}]}, "messages[0].role"),
    ((CHAT,), {"messages": [*messages("a"), {"role": "robot", "content": "a"}]}, "messages[1].role"),
    ((CHAT,), {"messages": [{"role": 3, "content": "a"}]}, "messages[0].role"),
    ((CHAT,), {"messages": [{"role": "user"}]}, "messages[0].content"),
    ((CHAT,), user(None), "messages[0].content"),
    ((CHAT,), user(5), "messages[0].content"),
    ((CHAT,), user(["a"]), "messages[0].content"),
    ((CHAT,), user([{"type": "image_url", "image_url": {"url": "x"}}]), "messages[0].content"),
    ((CHAT,), user([{"type": "text"}]), "messages[0].content"),
    ((COMPLETIONS,), {"prompt": None}, "prompt"),
    ((COMPLETIONS,), {"prompt": 5}, "prompt"),
    ((COMPLETIONS,), {"prompt": {}}, "prompt"),
    ((COMPLETIONS,), {"prompt": ""}, "prompt"),
    ((COMPLETIONS,), {"prompt": []}, "prompt"),
    ((COMPLETIONS,), {"prompt": ["a", ""]}, "prompt"),
    ((COMPLETIONS,), {"prompt": [[]]}, "prompt"),
    ((COMPLETIONS,), {"prompt": ["a", 5]}, "prompt"),
    ((COMPLETIONS,), {"prompt": [5, "a"]}, "prompt"),
    ((COMPLETIONS,), {"prompt": [True]}, "prompt"),
    ((COMPLETIONS,), {"prompt": [1.5]}, "prompt"),
    ((COMPLETIONS,), {"prompt": [-1]}, "prompt"),
    ((COMPLETIONS,), {"prompt": [576]}, "prompt"),
    ((COMPLETIONS,), {"prompt": [1, 541]}, "prompt"),
]

# `diffusion` objects and the param of the answer; the length is 16
DIFFUSION_MISTAKES = [
    (5, "diffusion"),
    ([], "diffusion"),
    ({"policy": "magic"}, "diffusion.policy"),
    ({"policy": 1}, "diffusion.policy"),
    ({"threshold": 0}, "diffusion.threshold"),
    ({"threshold": 1.01}, "diffusion.threshold"),
    ({"threshold": "high"}, "diffusion.threshold"),
    ({"steps": 0}, "diffusion.steps"),
    ({"steps": 2.5}, "diffusion.steps"),
    ({"steps": 5, "policy": "none", "block_length": 8}, "diffusion.steps"),
    ({"factor": 0}, "diffusion.factor"),
    ({"factor": "big"}, "diffusion.factor"),
    ({"threshold": 0.5, "steps": 4}, "diffusion"),
    ({"threshold": 0.5, "factor": 1}, "diffusion"),
    ({"steps": 4, "factor": 1}, "diffusion"),
    ({"block_length": 0}, "diffusion.block_length"),
    ({"block_length": 5}, "diffusion.block_length"),
    ({"block_length": 32}, "diffusion.block_length"),
    ({"window": 0}, "diffusion.window"),
    ({"window": 1.5}, "diffusion.window"),
    ({"gamma": -0.1}, "diffusion.gamma"),
    ({"gamma": 2.1}, "diffusion.gamma"),
    ({"gamma": "high"}, "diffusion.gamma"),
    ({"drift": "columns"}, "diffusion.drift"),
    ({"drift": 1}, "diffusion.drift"),
    ({"track": 0}, "diffusion.track"),
    ({"track": 33}, "diffusion.track"),
    ({"refresh_every": 0}, "diffusion.refresh_every"),
    ({"trace": 1}, "diffusion.trace"),
    ({"treshold": 0.9}, "diffusion.treshold"),
    ({"Policy": "none"}, "diffusion.Policy"),
    ({"": 1}, "diffusion."),
]

# Fields that would change the answer and that are not supported: never ignored in silence.
# (routes, field, values that are refused, values that say nothing and are taken)
UNSUPPORTED = [
    (BOTH, "presence_penalty", [0.5, -1, "x"], [0, 0.0]),
    (BOTH, "frequency_penalty", [0.5], [0]),
    (BOTH, "repetition_penalty", [1.1, 0], [1, 1.0]),
    (BOTH, "min_p", [0.1], [0]),
    (BOTH, "best_of", [2], [1]),
    (BOTH, "chat_template", ["{{ messages }}"], []),
    (BOTH, "response_format", [{"type": "json_object"}, {"type": "json_schema"}, "text"], [{"type": "text"}]),
    ((CHAT,), "tools", [[{"type": "function", "function": {"name": "f"}}]], [[]]),
    ((CHAT,), "functions", [[{"name": "f"}]], [[]]),
    ((CHAT,), "tool_choice", ["required", {"type": "function", "function": {"name": "f"}}], ["none", "auto"]),
    ((CHAT,), "audio", [{"voice": "x", "format": "wav"}], []),
    ((CHAT,), "suffix", ["b"], [""]),
    ((CHAT,), "echo", [True], [False]),
    (BOTH, "continue_final_message", [True], [False]),
    (BOTH, "add_generation_prompt", [False], [True]),
]


def on_each_route(rows):
    return [(path, *rest) for paths, *rest in rows for path in paths]


def shown(value):
    return json.dumps(value)[:60]


def check_mistake(error, param):
    assert error["param"] == param
    assert error["type"] == "invalid_request_error"
    assert error["code"] is None


@pytest.mark.parametrize("path, fields, param", on_each_route(MISTAKES), ids=shown)
def test_a_mistake_names_its_field(api, path, fields, param):
    error = api.refusal(path, {**BASE[path], **fields})
    check_mistake(error, param)
    assert param.partition("[")[0] in error["message"] or "token " in error["message"]


@pytest.mark.parametrize("diffusion, param", DIFFUSION_MISTAKES, ids=shown)
def test_a_mistake_inside_diffusion_names_its_key(api, diffusion, param):
    for path in BOTH:
        error = api.refusal(path, {**BASE[path], "diffusion": diffusion})
        check_mistake(error, param)
        assert param.rpartition(".")[2] in error["message"]


def unsupported(taken):
    rows = on_each_route(UNSUPPORTED)
    return [(path, field, value) for path, field, *lists in rows for value in lists[taken]]


@pytest.mark.parametrize("path, field, value", unsupported(taken=0), ids=shown)
def test_an_unsupported_field_is_refused_by_name(api, path, field, value):
    error = api.refusal(path, {**BASE[path], field: value})
    check_mistake(error, field)
    assert f"`{field}`" in error["message"]


@pytest.mark.parametrize("path, field, value", unsupported(taken=1), ids=shown)
def test_a_value_that_changes_nothing_is_taken(api, path, field, value):
    api.answer(path, {**BASE[path], field: value})


@pytest.mark.parametrize("path", BOTH)
@pytest.mark.parametrize(
    "body",
    [b"", b"{", b"nonsense", b"[]", b'"text"', b"null", b"5", b'{"prompt": "a"} x', b"{'prompt': 'a'}", b'{"a": \xff"}']
    + [b'{"prompt": "\xc3("}', b'{"messages": [{"role": "user", "content": "\xed\xa0\x80"}]}', b"[" * 100 + b"]" * 100]
    + [b'{"prompt": "a", "x": ' + b"[" * 70 + b"]" * 70 + b"}"],
    ids=lambda body: repr(body[:30]),
)
def test_a_body_that_is_no_json_object_is_refused(api, path, body):
    error = api.refusal(path, body)
    check_mistake(error, None)


@pytest.mark.parametrize("path", BOTH)
@pytest.mark.parametrize(
    "headers",
    [{}, {"Content-Type": "text/plain"}, {"Content-Type": "application/x-www-form-urlencoded"}]
    + [{"Content-Type": "application/jsonlines"}, {"Content-Type": ""}],
)
def test_another_content_type_is_415(api, path, headers):
    answer = api.post(path, BASE[path], headers=headers)
    assert answer.status == 415
    assert "application/json" in answer.error["message"]


@pytest.mark.parametrize("content_type", ["application/json; charset=utf-8", "Application/JSON", "application/json ;x"])
def test_parameters_and_case_of_the_content_type_do_not_matter(api, content_type):
    path, body = completion()
    assert api.post(path, body, headers={"Content-Type": content_type}).status == 200


@pytest.mark.parametrize("path", BOTH)
def test_a_canvas_longer_than_the_context_says_both_lengths(api, path):
    error = api.refusal(path, {**BASE[path], "max_tokens": 1024})
    assert error["code"] == "context_length_exceeded"
    prompt_tokens = api.answer(path, BASE[path])["usage"]["prompt_tokens"]
    for number in (1024, prompt_tokens, 1024 + prompt_tokens):
        assert str(number) in error["message"]


def test_too_many_tokens_in_one_request_are_refused(api):
    error = api.refusal(*completion(["a"] * 10, n=16, max_tokens=200))
    assert "32000" in error["message"] and "16384" in error["message"]


@pytest.mark.parametrize("path", BOTH)
def test_an_unknown_model_is_404(api, path):
    error = api.refusal(path, {**BASE[path], "model": "gpt-4"}, status=404)
    assert error["code"] == "model_not_found"
    assert error["param"] == "model"
    assert error["message"] == "The model `gpt-4` does not exist."


LONG = "é漢🎈" * 20000


@pytest.mark.parametrize(
    "fields",
    [
        {"model": LONG},
        {"temperature": LONG},
        {"stop": [LONG] * 5},
        {"diffusion": {LONG: 1}},
        {"diffusion": {"policy": LONG}},
        {"messages": [{"role": LONG, "content": "a"}]},
        {"response_format": LONG},
        {"tools": LONG},
    ],
    ids=lambda fields: next(iter(fields)),
)
def test_a_message_is_short_and_whole_characters_whatever_was_sent(api, fields):
    answer = api.post(CHAT, {**BASE[CHAT], **fields})
    assert answer.status in (400, 404)
    assert len(answer.body) < 3000  # decoded strictly, and its message measured, by `check`


def test_a_long_path_is_not_echoed_at_length(api):
    answer = api.get("/" + "a" * 8000)
    assert answer.status == 404
    assert len(answer.error["message"]) < 200


def test_a_mistake_is_an_error_also_where_a_stream_was_asked_for(api):
    path, body = chat(stream=True, temperature=9)
    assert api.refusal(path, body)["param"] == "temperature"
    assert api.post(path, body).headers["content-type"] == "application/json"


def test_mistakes_leave_a_running_stream_alone(api):
    path, body = chat(QUESTION, ignore_eos=True, diffusion={"threshold": None, "trace": True})
    whole = api.answer(path, body)
    stream = api.open_stream(path, body)
    stream.next_event()
    for wrong, fields, _ in on_each_route(MISTAKES)[:12]:
        api.refusal(wrong, {**BASE[wrong], **fields})
    api.raw(b"NONSENSE\r\n\r\n")
    api.refusal(path, b"{")
    assert_same(joined(path, stream.finish())["choices"], whole["choices"])
