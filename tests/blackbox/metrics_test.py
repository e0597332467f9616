"""GET /metrics: Prometheus's text, and numbers that add up."""

import re

from api import CHAT, COMPLETIONS
from cases import CHAIN, chat, completion
from program import ANSWER_SECONDS, wait_for

SAMPLE = re.compile(r'^([a-z_0-9]+)(?:\{(.*)\})? ([-+0-9.eEinfaN]+)$')


def read(api):
    """(name, labels) -> value; every line is checked."""
    samples, types = {}, {}
    for line in api.get("/metrics").body.decode().splitlines():
        if line.startswith("# TYPE "):
            _, _, name, kind = line.split()
            assert name not in types, f"{name} is there twice"
            types[name] = kind
        elif not line.startswith("# HELP "):
            sample = SAMPLE.match(line)
            assert sample, f"not a sample: {line}"
            name, labels, value = sample.groups()
            assert name.startswith("rubato_")
            family = name if name in types else name.rpartition("_")[0]
            assert types[family] in ("gauge", "counter", "histogram")
            samples[name, labels or ""] = float(value)
    return samples


def change(before, after):
    return lambda name, labels="": after[name, labels] - before.get((name, labels), 0)


def test_counts_are_those_of_the_answers(api):
    before = read(api)
    answers = [api.answer(*chat()), api.answer(*completion(n=2, ignore_eos=True)), api.answer(*chat(CHAIN, stream=None))]
    grown = change(before, read(api))
    choices = [choice for answer in answers for choice in answer["choices"]]
    costs = [choice["diffusion"] for choice in choices]
    replica = 'replica="0"'
    for name, key in [
        ("rubato_forward_passes_total", "forward_passes"),
        ("rubato_rows_computed_total", "rows_computed"),
        ("rubato_refreshes_total", "refreshes"),
        ("rubato_layers_refreshed_total", "layers_refreshed"),
    ]:
        # A choice whose text is complete may be in one more step before its place is free.
        assert sum(cost[key] for cost in costs) <= grown(name, replica)
    prompts = answers[0]["usage"]["prompt_tokens"] + 2 * answers[1]["usage"]["prompt_tokens"]
    assert grown("rubato_prompt_tokens_total", replica) == prompts + answers[2]["usage"]["prompt_tokens"]
    tokens = sum(answer["usage"]["completion_tokens"] for answer in answers)
    assert grown("rubato_generation_tokens_total", replica) >= tokens
    assert grown("rubato_request_queue_time_seconds_count", replica) == len(choices)
    assert grown("rubato_tokens_per_forward_pass_count", replica) == grown("rubato_forward_passes_total", replica)
    assert grown("rubato_tokens_per_forward_pass_sum", replica) == grown("rubato_generation_tokens_total", replica)
    assert grown("rubato_refresh_boundary_count", replica) == grown("rubato_refreshes_total", replica)
    assert grown("rubato_e2e_request_latency_seconds_count") == len(choices)
    assert grown("rubato_time_to_first_token_seconds_count") == len(choices)
    ends = [choice["finish_reason"] for choice in choices]
    for reason in ("stop", "length"):
        assert grown("rubato_request_success_total", f'finished_reason="{reason}"') == ends.count(reason)
    assert grown("rubato_http_answers_total", f'route="{CHAT}",status="200"') == 2
    assert grown("rubato_http_answers_total", f'route="{COMPLETIONS}",status="200"') == 1


def test_gauges_tell_of_the_load(api):
    samples = read(api)
    assert samples["rubato_ready", 'replica="0"'] == 1
    load = api.get("/load").json
    free = samples["rubato_cache_tokens_free", 'replica="0"']
    assert free + samples["rubato_cache_tokens_used", 'replica="0"'] == load["cache_tokens_total"]


def test_ranks_answer_and_exchange(api):
    before = read(api)
    api.answer(*chat())
    after = read(api)
    assert change(before, after)("rubato_collective_time_seconds_total", 'replica="0"') > 0
    watchdog = 3  # engine.watchdog_s: a server whose ranks are silent for longer is none any more
    assert 0 <= after["rubato_heartbeat_age_seconds", 'replica="0"'] < watchdog


def test_no_label_holds_what_a_client_sent(api):
    api.get("/v1/models/very-secret")
    api.get("/very-secret")
    api.refusal(*chat(model="very-secret"), status=404)
    assert b"very-secret" not in api.get("/metrics").body


def test_an_answer_that_nobody_waits_for_counts_as_aborted(api):
    label = 'finished_reason="abort"'
    before = read(api)["rubato_request_success_total", label]
    path, body = chat(max_tokens=512, ignore_eos=True, diffusion={"threshold": None, "trace": True})
    stream = api.open_stream(path, body)
    stream.next_event()
    stream.leave()

    wait_for(
        lambda: read(api)["rubato_request_success_total", label] == before + 1, ANSWER_SECONDS, "the abort is counted"
    )
