// The conversation: questions, and under each its answers, one for each policy that was asked.

import { byId, el, setText } from "./dom.js";

export class Chat {
  #turns = [];

  /** `onShow`: called with a turn whose runs are to be on the stage. */
  constructor(onShow) {
    this.onShow = onShow;
    this.log = byId("log");
  }

  /** A new question. What `fill` and `update` are given. */
  add(question) {
    const turn = { question, runs: [], views: [], failed: false };
    turn.element = el("article", { class: "turn" }, el("p", { class: "question" }, question));
    this.#turns.push(turn);
    this.log.append(turn.element);
    this.#scroll();
    return turn;
  }

  /** The runs that answer a turn's question. */
  fill(turn, runs) {
    turn.runs = runs;
    turn.views = runs.map((run, i) => {
      const text = el("div", { class: "text" });
      const note = el("span", { class: "note" });
      const show = el("button", { type: "button", class: "quiet", onclick: () => this.onShow(turn) }, "Show");
      const head = el("header", {}, el("b", {}, runs.length > 1 ? `${"AB"[i]} ` : "", run.policy), note, show);
      const element = el("div", { class: "answer" }, head, text);
      turn.element.append(element);
      return { element, text, note };
    });
    this.update(turn);
  }

  /** Marks the turn that is on the stage. */
  setCurrent(current) {
    for (const turn of this.#turns) turn.element.classList.toggle("current", turn === current);
  }

  update(turn) {
    for (const [i, { element, text, note }] of turn.views.entries()) {
      const run = turn.runs[i];
      element.hidden = run.state === "failed" && run.text === "";
      setText(text, run.text);
      text.classList.toggle("open", run.state === "running");
      setText(note, noteOn(run));
      if (run.state === "failed" && !turn.failed) this.fail(turn, run.error);
    }
    this.#scroll();
  }

  /** Says that a turn went wrong. */
  fail(turn, message) {
    turn.failed = true;
    turn.element.append(el("p", { class: "error", role: "alert" }, message));
    this.#scroll();
  }

  /** The conversation so far, as messages; of an answer given twice the first. Without the turns that failed. */
  messages() {
    const whole = this.#turns.filter((turn) => turn.runs[0]?.state === "done");
    return whole.flatMap((turn) => [
      { role: "user", content: turn.question },
      { role: "assistant", content: turn.runs[0].text },
    ]);
  }

  clear() {
    this.#turns = [];
    this.log.replaceChildren();
  }

  #scroll() {
    this.log.scrollTop = this.log.scrollHeight;
  }
}

function noteOn(run) {
  if (run.state === "waiting") return "waits for its turn";
  if (run.state === "stopped") return "stopped";
  if (run.state !== "done") return "";
  const { tokens, passes } = run.figures();
  const cut = run.finish === "length" ? ", cut at the length" : "";
  return `${tokens} tokens in ${passes} ${passes === 1 ? "pass" : "passes"}${cut}`;
}
