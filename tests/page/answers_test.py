"""What a visitor sees of an answer: its text, the canvas, the refresh map, the counters."""

import re

import pytest
from browser import ANSWER, LAYERS, QUESTION
from playwright.sync_api import expect

CHAT = "/v1/chat/completions"
CHAIN = "Start at 12 and apply: -5 +8 +8 +5 -5 -7 -6 -8 +6 +8. Show each step."


def traced(server, question=QUESTION, length=64, **diffusion):
    """The same answer as the API gives it, in one piece."""
    body = {"messages": [{"role": "user", "content": question}], "max_tokens": length, "return_token_ids": True}
    return server.answer(CHAT, {**body, "diffusion": {**diffusion, "trace": True}})["choices"][0]


def test_a_question_is_answered(visit):
    visit.ask_and_wait(QUESTION)
    expect(visit.log.locator(".question")).to_have_text(QUESTION)
    assert visit.answers.inner_text() == ANSWER
    expect(visit.log.locator(".note")).to_have_text(re.compile(r"^15 tokens in \d+ pass"))
    expect(visit.question).to_be_empty()


@pytest.mark.parametrize("kind, right", [("Word problem", "#### 17"), ("Python function", "return q + 2"), ("Long sum", "#### 16")])
def test_an_example_is_a_click_away(visit, kind, right):
    visit.page.get_by_role("button", name=kind).click()
    visit.a.wait_for("done")
    assert visit.answers.inner_text().rstrip().endswith(right)


def test_the_canvas_fills(visit, server):
    visit.ask_and_wait(QUESTION)
    wanted = traced(server)
    given, steps = len(wanted["prompt_token_ids"]), wanted["diffusion"]["trace"]
    committed = {position: step for step, entry in enumerate(steps) for position, _ in entry["committed"]}
    expect(visit.a.given).to_have_count(given)
    expect(visit.a.tokens).to_have_count(len(committed))
    expect(visit.a.masks).to_have_count(64 - len(committed))
    shown = visit.a.tokens.evaluate_all(
        "cells => cells.map(c => [Number(c.dataset.position), Number(c.style.getPropertyValue('--step'))])"
    )
    assert dict(shown) == committed
    confidences = visit.a.tokens.evaluate_all("cells => cells.map(c => Number(c.style.getPropertyValue('--confidence')))")
    assert all(0 < confidence <= 1 for confidence in confidences) and len(set(confidences)) > 5
    text = "".join(visit.a.tokens.all_inner_texts()[: len(wanted["token_ids"]) - 1])
    assert text.replace("·", " ").replace("⏎", "\n") == ANSWER


def test_cells_of_different_steps_look_different(visit):
    visit.page.get_by_role("button", name="Long sum").click()
    visit.a.wait_for("done")
    colour = "cell => getComputedStyle(cell).backgroundColor"
    by_step = visit.a.tokens.evaluate_all(
        f"cells => cells.map(c => [c.style.getPropertyValue('--step'), ({colour})(c)])"
    )
    assert len({colour for _, colour in by_step}) >= len({step for step, _ in by_step}) > 5


def check_map(visit, cost):
    """Whether the refresh map shows what the API's `diffusion` says of the same answer."""
    steps = cost["trace"]
    expect(visit.a.columns).to_have_count(len(steps))
    expect(visit.a.layers).to_have_count(LAYERS * len(steps))
    for column, step in zip(visit.a.columns.all(), steps):
        cells = column.locator(".layer").evaluate_all("cells => cells.map(c => [Number(c.dataset.layer), c.className])")
        # Of the last layer alone nothing needs recomputing.
        boundary = LAYERS if step["boundary"] in (None, LAYERS - 1) else step["boundary"]
        for layer, kind in cells:
            redone = "full" in kind or "refreshed" in kind
            assert redone == (layer >= boundary), (layer, kind, step)
            assert ("full" in kind) == (boundary == 0)
            assert ("drifted" in kind) == (step["boundary"] == layer + 1)
        similarity = column.locator("[data-similarity]").evaluate_all("cells => cells.map(c => Number(c.dataset.similarity))")
        assert similarity == pytest.approx(step["similarity"][::-1], abs=1e-5)
        expect(column.locator("b.tracked")).to_have_count(len(step["tracked"]))
        expect(column.locator("b.committed")).to_have_count(len(step["committed"]))
    share = cost["layers_refreshed"] / (len(steps) * LAYERS)
    assert visit.a.counter("refreshed") == f"{round(100 * share)} %"


@pytest.mark.parametrize("policy", ["elastic", "interval", "prefix"])
def test_the_refresh_map_is_the_trace(visit, server, policy):
    visit.a.policy.select_option(policy)
    visit.ask_and_wait(QUESTION)
    check_map(visit, traced(server, policy=policy)["diffusion"])


def test_the_refresh_map_shows_refreshes_from_any_layer(visit, server):
    visit.page.get_by_label("gamma of lane A").fill("0.98")
    visit.set(length=256)
    visit.ask_and_wait(CHAIN)
    cost = traced(server, CHAIN, 256, gamma=0.98)["diffusion"]
    boundaries = [step["boundary"] for step in cost["trace"]]
    assert len(set(boundaries)) > 3
    check_map(visit, cost)
    for boundary, says in [(1, "what lies above it is refreshed"), (LAYERS - 1, "nothing needs recomputing")]:
        column = visit.a.columns.nth(boundaries.index(boundary))
        column.locator(f"[data-layer='{boundary - 1}']").hover()
        expect(visit.a.readout).to_contain_text(says)


def test_pointing_at_a_cell_tells_of_it(visit, server):
    visit.ask_and_wait(QUESTION)
    step = traced(server)["diffusion"]["trace"][1]
    visit.a.columns.nth(1).locator("[data-layer='0']").hover()
    wanted = f"similarity {step['similarity'][0]:.3f}, drift {1 - step['similarity'][0]:.3f}"
    expect(visit.a.readout).to_have_text(re.compile(f"^step 1 · layer 0 · .*{wanted}"))
    visit.a.columns.nth(1).locator(".strip").hover()
    expect(visit.a.readout).to_contain_text(f"tracked positions {', '.join(map(str, step['tracked']))}")
    visit.a.tokens.first.hover()
    expect(visit.a.readout).to_have_text(re.compile(r"position 31 · “1” · step 0 · confidence (0\.\d{3}|1\.000)"))
    visit.a.given.nth(2).hover()
    expect(visit.a.readout).to_have_text("position 2 · prompt “user”")


def test_the_counters_are_those_of_the_answer(visit, server):
    visit.ask_and_wait(QUESTION)
    cost = traced(server)["diffusion"]
    passes, rows = cost["forward_passes"], cost["rows_computed"]
    assert visit.a.counter("passes") == str(passes)
    assert visit.a.counter("perPass") == f"{15 / passes:.1f}"
    assert visit.a.counter("refreshed") == f"{round(100 * cost['layers_refreshed'] / (passes * LAYERS))} %"
    assert visit.a.counter("rows") == f"{round(100 * rows / (passes * LAYERS * (31 + 64)))} %"
    assert int(visit.a.counter("perSecond")) > 0


def test_two_policies_answer_side_by_side(visit):
    visit.page.get_by_label("compare two policies").check()
    visit.ask_and_wait(QUESTION)
    visit.b.wait_for("done")
    expect(visit.b.policy).to_have_value("none")
    assert visit.answers.all_inner_texts() == [ANSWER, ANSWER]
    verdict = visit.page.get_by_role("status").filter(has_text="times as fast")
    expect(verdict).to_have_text(re.compile(r"^[AB] \((elastic|none)\) was \d+\.\d times as fast as .* The answers are the same\.$"))
    assert visit.b.counter("refreshed") == visit.b.counter("rows") == "100 %"
    classes = set(visit.b.layers.evaluate_all("cells => cells.map(c => c.className)"))
    assert classes == {"layer full"}
    left, right = visit.a.element.bounding_box(), visit.b.element.bounding_box()
    assert left["x"] + left["width"] <= right["x"] and left["y"] == right["y"]
    visit.page.get_by_label("compare two policies").uncheck()
    expect(visit.b.element).to_be_visible()  # as long as its answer is on the stage
    visit.ask_and_wait(QUESTION)
    expect(visit.b.element).to_be_hidden()
    visit.log.get_by_role("button", name="Show").first.click()
    expect(visit.b.element).to_be_visible()


def test_steps_can_be_gone_through(visit):
    visit.page.get_by_role("button", name="Long sum").click()
    visit.a.wait_for("done")
    count = visit.a.tokens.count()
    steps = visit.a.columns.count()
    visit.slider.press("Home")
    expect(visit.a.tokens).to_have_count(0)
    expect(visit.a.masks).to_have_count(256)
    expect(visit.a.map.locator(".later")).to_have_count(steps)
    visit.a.columns.nth(3).click()
    expect(visit.a.columns.nth(3)).to_have_class(re.compile("current"))
    expect(visit.a.map.locator(".later")).to_have_count(steps - 4)
    visit.page.get_by_role("button", name="Replay").click()
    expect(visit.a.tokens).to_have_count(count)
    expect(visit.page.get_by_role("button", name="Replay")).to_be_visible()


def test_steps_that_came_together_are_gone_through_one_by_one(visit):
    counts = visit.page.evaluate(
        """async () => {
            const { Run } = await import("/page/run.js");
            const run = new Run({ policy: "none", prompt: [], length: 4, layers: 1 });
            const step = { boundary: 0, similarity: [], tracked: [], committed: [] };
            run.begin(10);
            run.take({ choices: [{ diffusion: { trace: [step, step, step] } }] }, 12);
            run.take({ choices: [{ diffusion: { trace: [step] } }] }, 12);
            return run.steps.map(({ time }) => run.stepsBy(time));
        }"""
    )
    assert counts == [1, 2, 3, 4]


def test_earlier_answers_come_back(visit):
    visit.ask_and_wait(QUESTION)
    visit.page.get_by_role("button", name="Long sum").click()
    visit.wait_for_answer(1)
    expect(visit.a.canvas.locator(".cell")).not_to_have_count(31 + 64)
    visit.log.get_by_role("button", name="Show").first.click()
    expect(visit.a.canvas.locator(".cell")).to_have_count(31 + 64)
    visit.page.get_by_role("button", name="New chat").click()
    expect(visit.log.locator(".turn")).to_have_count(0)
    expect(visit.a.columns).to_have_count(0)
