"""What the page asks of the server: settings, stops, errors, keys."""

import pytest
from browser import ANSWER, QUESTION
from playwright.sync_api import expect
from program import ANSWER_SECONDS, Server, wait_for

CHAIN = "Start at 23 and apply: -8 +9 +8 -3 +8 -3 -7 +5 -6 -5 -5 +1 -2 -1 +8. Show each step."


def body_asked(visit, question=QUESTION):
    with visit.page.expect_request("**/v1/chat/completions") as asked:
        visit.ask_and_wait(question)
    return asked.value.post_data_json


def aborted(server):
    lines = server.get("/metrics").body.decode().splitlines()
    (line,) = [line for line in lines if line.startswith('rubato_request_success_total{finished_reason="abort"}')]
    return float(line.split()[-1])


def ask_something_long(visit):
    """A question whose answer takes hundreds of full forwards, and is under way."""
    visit.a.policy.select_option("none")
    visit.set(length=896, threshold=1)
    visit.ask(CHAIN)
    visit.a.columns.first.wait_for()


def test_what_is_left_empty_is_left_to_the_server(visit):
    body = body_asked(visit)
    assert body["diffusion"] == {"policy": "elastic", "trace": True}
    assert body["max_tokens"] == 64
    assert not body.keys() & {"temperature", "seed"}


def test_settings_are_sent(visit):
    visit.set(length=96, threshold=0.7, temperature=0.5, seed=7)
    visit.a.policy.select_option("elastic")
    visit.page.get_by_label("gamma of lane A").fill("0.6")
    visit.page.get_by_label("window of lane A").fill("24")
    body = body_asked(visit)
    assert body["diffusion"] == {"policy": "elastic", "gamma": 0.6, "window": 24, "threshold": 0.7, "trace": True}
    assert (body["max_tokens"], body["temperature"], body["seed"]) == (96, 0.5, 7)


def test_a_policy_shows_the_fields_it_uses(visit):
    shown = {
        "none": ["block_length"],
        "elastic": ["gamma", "window"],
        "interval": ["window", "refresh_every"],
        "horizon": ["gamma", "window", "horizon"],
    }
    for policy, fields in shown.items():
        visit.a.policy.select_option(policy)
        names = visit.a.element.locator("input:visible").evaluate_all("inputs => inputs.map(i => i.name)")
        assert names == fields, policy


def test_the_conversation_is_sent_if_wanted(visit):
    visit.ask_and_wait(QUESTION)
    visit.set()
    visit.page.get_by_label("send the conversation so far").check()
    messages = body_asked(visit, "And now?")["messages"]
    assert messages == [
        {"role": "user", "content": QUESTION},
        {"role": "assistant", "content": ANSWER},
        {"role": "user", "content": "And now?"},
    ]


@pytest.mark.parametrize("how", ["button", "escape"])
def test_a_stop_ends_the_work_on_the_server(visit, server, how):
    before = aborted(server)
    ask_something_long(visit)
    assert server.get("/load").json["running"] == 1
    if how == "button":
        visit.page.get_by_role("button", name="Stop").click()
    else:
        visit.page.keyboard.press("Escape")
    visit.a.wait_for("stopped")
    expect(visit.log.locator(".note")).to_have_text("stopped")
    wait_for(lambda: aborted(server) == before + 1, ANSWER_SECONDS, "the abort is counted")
    wait_for(lambda: server.get("/load").json["running"] == 0, ANSWER_SECONDS, "nothing runs any more")
    expect(visit.page.get_by_role("button", name="Ask", exact=True)).to_be_visible()
    visit.set(length=64, threshold="")
    visit.ask_and_wait(QUESTION)
    assert visit.answers.last.inner_text() == ANSWER


def test_a_stop_also_spares_the_second_policy(visit, server):
    visit.page.get_by_label("compare two policies").check()
    ask_something_long(visit)
    visit.page.get_by_role("button", name="Stop").click()
    visit.b.wait_for("stopped")
    expect(visit.b.columns).to_have_count(0)


def test_a_new_chat_stops_what_runs(visit, server):
    ask_something_long(visit)
    visit.page.get_by_role("button", name="New chat").click()
    wait_for(lambda: server.get("/load").json["running"] == 0, ANSWER_SECONDS, "nothing runs any more")
    expect(visit.log.locator(".turn")).to_have_count(0)
    expect(visit.a.columns).to_have_count(0)


def test_an_error_is_shown_as_text(visit):
    visit.set(length=5000)
    visit.ask(QUESTION)
    expect(visit.errors).to_contain_text("1024")
    visit.a.wait_for("failed")
    expect(visit.a.canvas.locator(".cell")).to_have_count(1024)  # no more than there can be
    visit.set(length=64)
    visit.ask_and_wait(QUESTION)
    assert visit.answers.last.inner_text() == ANSWER


def test_an_error_in_the_stream_is_shown_as_text(visit):
    event = 'data: {"error": {"message": "the <b>engine</b> has stopped"}}\n\ndata: [DONE]\n\n'
    visit.page.route("**/v1/chat/completions", lambda route: route.fulfill(body=event, content_type="text/event-stream"))
    visit.ask(QUESTION)
    expect(visit.errors).to_have_text("the <b>engine</b> has stopped")


def test_a_stream_that_breaks_off_is_an_error(visit):
    visit.page.route("**/v1/chat/completions", lambda route: route.fulfill(body="", content_type="text/event-stream"))
    visit.ask(QUESTION)
    expect(visit.errors).to_have_text("The server ended the answer early.")


def test_a_server_that_is_not_there_is_said_to_be(visit):
    visit.page.route("**/tokenize", lambda route: route.abort())
    visit.ask(QUESTION)
    expect(visit.errors).to_have_text("The server cannot be reached.")


def test_events_are_read_whatever_pieces_they_come_in(visit):
    read = """async () => {
      const { eventData } = await import("/page/api.js");
      const bytes = new TextEncoder().encode("data: é1\\n\\n: note\\n\\ndata: 2\\n\\ndata: [DONE]\\n\\n");
      const found = [];
      for (const size of [1, 2, 3, 7, 100]) {
        const pieces = [];
        for (let i = 0; i < bytes.length; i += size) pieces.push(bytes.slice(i, i + size));
        const stream = new ReadableStream({
          start(controller) {
            for (const piece of pieces) controller.enqueue(piece);
            controller.close();
          },
        });
        const events = [];
        for await (const data of eventData(stream)) events.push(data);
        found.push(events);
      }
      return found;
    }"""
    assert visit.page.evaluate(read) == [["é1", "2", "[DONE]"]] * 5


def test_a_locked_server_is_reached_with_a_key_that_is_kept_nowhere(open_page, tmp_path):
    key = "visitors-key-51c2"
    (tmp_path / "keys").write_text(key + "\n")
    locked = Server(tmp_path / "server", 1, "--set", f"server.api_key_file={tmp_path / 'keys'}")
    try:
        visit = open_page(locked.wait_until_ready().url)
        expect(visit.page.locator("#model")).to_contain_text("API key is required")
        field = visit.page.get_by_label("access key")
        expect(field).to_be_focused()
        field.fill("wrong")
        visit.ask(QUESTION)
        expect(visit.errors).to_contain_text("not one that this server knows")
        field.fill(key)
        field.press("Tab")
        visit.wait_for_model()
        visit.ask_and_wait(QUESTION)
        assert visit.answers.last.inner_text() == ANSWER
        kept = "() => JSON.stringify([{...localStorage}, {...sessionStorage}, document.cookie, location.href])"
        assert key not in visit.page.evaluate(kept)
        assert not any(key in url for url in visit.requests)
        visit.page.reload()
        expect(field).to_be_empty()
    finally:
        locked.stop()
