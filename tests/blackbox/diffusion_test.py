"""The `diffusion` object of requests and answers: parameters, counters and traces, as docs/algorithm.md defines them."""

import pytest
from api import CHAT, text_of
from cases import CHAIN, CODE, POLICIES, QUESTION, chat, traced

LAYERS = 6
DEFAULTS = {
    "policy": "elastic",
    "threshold": 0.9,
    "steps": None,
    "factor": None,
    "block_length": 32,
    "window": 16,
    "gamma": 0.9,
    "drift": "heads",
    "track": 1,
    "refresh_every": 8,
    "horizon": 64,
}


def decode(api, question=CHAIN, length=64, ignore_eos=False, **diffusion):
    """A traced answer: its `diffusion`, the choice it is of, the prompt's length."""
    answer = api.answer(*traced(chat(question, max_tokens=length, ignore_eos=ignore_eos), **diffusion))
    choice = answer["choices"][0]
    return choice["diffusion"], choice, len(choice["prompt_token_ids"])


def replay(trace, prompt, length):
    """For each step: its entry, and what was masked before it."""
    masked = set(range(prompt, prompt + length))
    for entry in trace:
        yield entry, masked
        masked = masked - {position for position, _ in entry["committed"]}


# Parameters


def test_effective_parameters_are_the_defaults_where_nothing_is_said(api):
    diffusion = api.answer(*chat())["choices"][0]["diffusion"]
    assert {key: diffusion[key] for key in DEFAULTS} == DEFAULTS
    assert "trace" not in diffusion


@pytest.mark.parametrize(
    "given, effective",
    [
        ({"policy": "dual", "block_length": 16}, {}),
        ({"window": 5, "gamma": 0.75, "drift": "rows", "track": 3}, {}),
        ({"policy": "interval", "refresh_every": 4}, {}),
        ({"policy": "horizon", "horizon": 16}, {}),
        ({"threshold": 0.5}, {}),
        ({"threshold": 1}, {"threshold": 1.0}),
        ({"factor": 1.5}, {"threshold": None}),
        ({"threshold": None, "steps": 32}, {"threshold": None}),
        ({"threshold": None}, {"threshold": None, "steps": 64}),
        ({"steps": 32}, {"threshold": None}),
    ],
)
def test_effective_parameters_are_what_was_asked_for(api, given, effective):
    diffusion = api.answer(*chat(diffusion=given))["choices"][0]["diffusion"]
    assert {key: diffusion[key] for key in DEFAULTS} == {**DEFAULTS, **given, **effective}


def test_numbers_are_written_as_people_write_them(api):
    body = api.post(*chat(diffusion={"gamma": 0.75, "trace": True})).body
    assert b'"threshold":0.9,' in body
    assert b'"gamma":0.75,' in body
    assert b"E" not in body.partition(b'"message"')[0]


# What holds for every policy and rule

RULES = {"threshold": {"threshold": 0.8}, "steps": {"threshold": None, "steps": 16}, "factor": {"factor": 1.0}}


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("policy", POLICIES)
def test_a_trace_tells_the_whole_canvas(api, policy, rule):
    diffusion, choice, prompt = decode(api, ignore_eos=True, policy=policy, block_length=16, **RULES[rule])
    trace = diffusion["trace"]
    commits = [commit for entry in trace for commit in entry["committed"]]
    assert len(trace) == diffusion["forward_passes"]
    assert dict(commits) == {prompt + i: token for i, token in enumerate(choice["token_ids"])}
    assert len(commits) == len(choice["token_ids"]) == 64
    for entry, masked in replay(trace, prompt, 64):
        positions = [position for position, _ in entry["committed"]]
        assert positions and positions == sorted(positions)
        assert set(positions) <= masked
        assert entry["tracked"] == sorted(set(entry["tracked"]))


@pytest.mark.parametrize("policy", POLICIES)
def test_counters_agree_with_the_trace(api, policy):
    diffusion, choice, prompt = decode(api, policy=policy, block_length=16, refresh_every=3)
    canvas = prompt + 64
    boundaries = [entry["boundary"] for entry in diffusion["trace"]]
    assert boundaries[0] == 0
    assert diffusion["forward_passes"] == len(boundaries)
    refreshes = [b for b in boundaries if b is not None and b < LAYERS - 1]  # of the last layer nothing is recomputed
    assert diffusion["refreshes"] == len(refreshes)
    assert diffusion["layers_refreshed"] == sum(LAYERS - b for b in refreshes)
    if policy == "none":
        assert diffusion["rows_computed"] == canvas * LAYERS * len(boundaries)
    else:
        assert diffusion["rows_computed"] < canvas * LAYERS * len(boundaries)


def test_rows_of_elastic_are_tracked_committed_and_window(api):
    diffusion, choice, prompt = decode(api, ignore_eos=True, window=8)
    canvas, rows, last = prompt + 64, 0, []
    for entry, masked in replay(diffusion["trace"], prompt, 64):
        boundary = LAYERS if entry["boundary"] is None else entry["boundary"]
        if boundary > 0:
            rows += LAYERS * len({*entry["tracked"], *last, *sorted(masked)[:8]})
        if boundary < LAYERS - 1:  # a refresh of the last layer alone has nothing to do
            rows += canvas * (LAYERS - boundary)
        last = [position for position, _ in entry["committed"]]
    assert diffusion["rows_computed"] == rows


def test_rows_of_horizon_are_those_of_elastic_as_far_as_the_canvas_reaches(api):
    diffusion, choice, prompt = decode(api, ignore_eos=True, policy="horizon", horizon=16, window=8)
    rows, last, reach = 0, [], prompt
    for entry, masked in replay(diffusion["trace"], prompt, 64):
        before = reach
        while reach < prompt + 64 and reach < min(masked) + 16:
            reach += 8
        boundary = LAYERS if entry["boundary"] is None else entry["boundary"]
        if boundary > 0:
            rows += LAYERS * len({*entry["tracked"], *last, *sorted(masked)[:8], *range(before, reach)})
        if boundary < LAYERS - 1:
            rows += reach * (LAYERS - boundary)
        assert entry["similarity"] == [] or reach == before
        assert all(position < reach for position in entry["tracked"])
        last = [position for position, _ in entry["committed"]]
    assert diffusion["rows_computed"] == rows
    assert reach == prompt + 64


def test_horizon_sees_a_canvas_within_it_as_elastic_does(api):
    texts = [text_of(decode(api, policy=policy)[1]) for policy in ("elastic", "horizon")]
    assert texts[0] == texts[1]


# The commit rules


def test_a_schedule_commits_evenly(api):
    diffusion, _, _ = decode(api, ignore_eos=True, policy="none", block_length=32, steps=24)
    counts = [len(entry["committed"]) for entry in diffusion["trace"]]
    assert counts == ([3] * 8 + [2] * 4) * 2  # 32 masks in 12 steps, twice


def test_no_threshold_is_a_token_a_step(api):
    diffusion, _, _ = decode(api, ignore_eos=True, threshold=None)
    assert [len(entry["committed"]) for entry in diffusion["trace"]] == [1] * 64


@pytest.mark.parametrize("policy", ["none", "prefix", "dual", "dkv"])
@pytest.mark.parametrize("length", [50, 100])
def test_no_threshold_is_a_token_a_step_in_blocks_that_do_not_divide_the_length(api, policy, length):
    diffusion, _, _ = decode(api, length=length, ignore_eos=True, policy=policy, threshold=None)
    assert [len(entry["committed"]) for entry in diffusion["trace"]] == [1] * length


def test_a_lower_threshold_takes_no_more_steps(api):
    steps = [decode(api, length=32, policy="none", block_length=32, threshold=t)[0]["forward_passes"] for t in (1.0, 0.9, 0.5, 0.01)]
    assert steps == sorted(steps, reverse=True)
    assert steps[0] > steps[-1]


def test_a_large_factor_commits_the_whole_window(api):
    diffusion, _, _ = decode(api, ignore_eos=True, window=16, factor=1000)
    assert [len(entry["committed"]) for entry in diffusion["trace"]] == [16] * 4


# The policies


def test_none_is_a_full_forward_each_step(api):
    diffusion, _, _ = decode(api, policy="none")
    for entry in diffusion["trace"]:
        assert (entry["boundary"], entry["similarity"], entry["tracked"]) == (0, [], [])


@pytest.mark.parametrize("policy", ["prefix", "dual"])
def test_block_policies_refresh_when_a_block_begins(api, policy):
    diffusion, _, prompt = decode(api, ignore_eos=True, policy=policy, block_length=16)
    blocks = []
    for entry, masked in replay(diffusion["trace"], prompt, 64):
        block = (min(masked) - prompt) // 16
        assert entry["boundary"] == (None if blocks and blocks[-1] == block else 0)
        assert (entry["similarity"], entry["tracked"]) == ([], [])
        assert {(position - prompt) // 16 for position, _ in entry["committed"]} == {block}
        blocks.append(block)
    assert set(blocks) == {0, 1, 2, 3}


@pytest.mark.parametrize("every", [1, 3, 8])
def test_interval_refreshes_by_the_clock(api, every):
    diffusion, _, _ = decode(api, length=32, policy="interval", refresh_every=every, threshold=None)
    for step, entry in enumerate(diffusion["trace"]):
        full = step % every == 0
        assert entry["boundary"] == (0 if full else None)
        assert entry["similarity"] == []
        assert bool(entry["tracked"]) != full


@pytest.mark.parametrize("drift", ["heads", "rows"])
@pytest.mark.parametrize("gamma", [0.7, 0.9, 0.97])
def test_elastic_refreshes_above_the_first_layer_that_drifted(api, gamma, drift):
    diffusion, _, prompt = decode(api, ignore_eos=True, length=32, gamma=gamma, drift=drift, threshold=None)
    first, *rest = diffusion["trace"]
    assert (first["boundary"], first["similarity"], first["tracked"]) == (0, [], [])
    for entry in rest:
        similarity = entry["similarity"]
        assert entry["tracked"]
        if entry["boundary"] is None:
            # The last layer may have drifted: there is nothing above it to refresh.
            assert len(similarity) == LAYERS and min(similarity[:-1]) >= gamma
        else:
            assert len(similarity) == entry["boundary"] >= 1
            assert similarity[-1] < gamma and all(s >= gamma for s in similarity[:-1])
        assert all(-1 - 1e-6 <= s <= 1 + 1e-6 for s in similarity)
    assert any(entry["boundary"] is None for entry in rest) or gamma > 0.9


def test_gamma_0_never_refreshes_and_2_always_does(api):
    never, _, _ = decode(api, length=32, gamma=0, threshold=None)
    always, _, _ = decode(api, length=32, gamma=2, threshold=None)
    assert {entry["boundary"] for entry in never["trace"][1:]} == {None}
    assert {entry["boundary"] for entry in always["trace"][1:]} == {1}
    assert never["layers_refreshed"] == LAYERS


@pytest.mark.parametrize("policy", ["elastic", "interval"])
def test_the_window_is_the_first_masks(api, policy):
    diffusion, _, prompt = decode(api, ignore_eos=True, policy=policy, window=4)
    for entry, masked in replay(diffusion["trace"], prompt, 64):
        assert {position for position, _ in entry["committed"]} <= set(sorted(masked)[:4])


def test_track_bounds_the_tracked_positions(api):
    one, _, prompt = decode(api, track=1)
    many, _, _ = decode(api, track=4)
    assert all(len(entry["tracked"]) <= LAYERS for entry in one["trace"])
    assert max(len(entry["tracked"]) for entry in many["trace"]) > LAYERS
    assert all(0 <= position < prompt + 64 for entry in many["trace"] for position in entry["tracked"])


def test_all_policies_agree_where_every_step_is_a_full_forward(api):
    """One window over everything and a refresh each step: nothing is left of a policy but its name."""
    texts = set()
    for given in ({"policy": "none", "block_length": 32}, {"policy": "interval", "refresh_every": 1, "window": 64}):
        _, choice, _ = decode(api, QUESTION, length=32, threshold=None, **given)
        texts.add(text_of(choice))
    assert len(texts) == 1


@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize("question", [QUESTION, CHAIN, CODE])
def test_a_trace_goes_on_until_the_masks_before_eos_are_filled(api, policy, question):
    """Though the text may have ended before, at an end of turn."""
    diffusion, choice, prompt = decode(api, question, policy=policy)
    committed = {position: token for entry in diffusion["trace"] for position, token in entry["committed"]}
    end = min((p for p, token in committed.items() if token == 540), default=prompt + 64)
    assert set(range(prompt, end)) <= set(committed)
    assert diffusion["forward_passes"] == len(diffusion["trace"])


def test_after_eos_only_the_masks_before_it_are_filled(api):
    diffusion, choice, prompt = decode(api, QUESTION)
    eos = min(p for entry in diffusion["trace"] for p, token in entry["committed"] if token == 540)
    step = next(i for i, entry in enumerate(diffusion["trace"]) if [eos, 540] in entry["committed"])
    for entry in diffusion["trace"][step + 1 :]:
        assert all(position < eos for position, _ in entry["committed"])
