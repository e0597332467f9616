// The canvas of a run, a cell for each position: the prompt's tokens, then masks that turn into tokens.

import { el, setText } from "./dom.js";
import { shownToken } from "./run.js";

const DENSE = 400; // cells from which on they are drawn smaller
const BLANK = 140; // cells of the canvas that stands there before anything was asked

export class CanvasView {
  #run = null;
  #cells = []; // by position: {element, step} (step: index of the step that committed it, or -1)
  #shown = 0; // steps that are drawn
  #cursor = -1;

  /** `tell`: called with a description of the cell under the pointer or cursor, or "". */
  constructor(name, tell) {
    this.tell = tell;
    this.element = el("div", {
      class: "canvas",
      role: "group",
      tabindex: 0,
      "aria-label": `Canvas of ${name}`,
      onpointerover: (event) => this.#point(event.target),
      onpointerleave: () => this.tell(""),
      onkeydown: (event) => this.#move(event),
      onblur: () => this.#setCursor(-1),
    });
  }

  /** Draws the first `count` steps of `run`. */
  show(run, count) {
    if (run !== this.#run) this.#begin(run);
    while (this.#shown > count) this.#undo(run.steps[--this.#shown]);
    while (this.#shown < count) this.#commit(run.steps[this.#shown], this.#shown++);
    this.element.style.setProperty("--steps", Math.max(run.steps.length, 2));
    this.element.classList.toggle("over", run.over && count === run.steps.length);
    this.#mark(run.over && count === run.steps.length ? null : run.steps[count - 1]);
  }

  clear() {
    this.#run = null;
    this.#cells = [];
    this.element.classList.add("blank");
    this.element.replaceChildren(...Array.from({ length: BLANK }, () => el("span", { class: "cell mask" })));
  }

  #begin(run) {
    this.#run = run;
    this.#shown = 0;
    this.#cursor = -1;
    const total = run.prompt.length + run.length;
    this.#cells = Array.from({ length: total }, (_, position) => {
      const given = position < run.prompt.length;
      const element = el("span", { class: given ? "cell given" : "cell mask", "data-position": position });
      if (given) write(element, run.prompt[position]);
      return { element, step: -1, commit: null };
    });
    this.element.classList.remove("blank");
    this.element.classList.toggle("dense", total > DENSE);
    this.element.replaceChildren(...this.#cells.map(({ element }) => element));
  }

  #commit(step, index) {
    for (const commit of step.committed) {
      const cell = this.#cells[commit.position];
      if (!cell) continue; // the server's canvas is longer than ours: it would say so
      cell.step = index;
      cell.commit = commit;
      cell.element.className = "cell token";
      cell.element.style.setProperty("--step", index);
      cell.element.style.setProperty("--confidence", commit.confidence ?? 1);
      write(cell.element, commit.token);
    }
  }

  #undo(step) {
    for (const { position } of step.committed) {
      const cell = this.#cells[position];
      if (!cell) continue;
      cell.step = -1;
      cell.commit = null;
      cell.element.className = "cell mask";
      setText(cell.element, "");
    }
  }

  /** Marks what a step committed and which positions it followed. */
  #mark(step) {
    const now = new Set(step?.committed.map(({ position }) => position));
    const tracked = new Set(step?.tracked);
    for (const [position, { element }] of this.#cells.entries()) {
      element.classList.toggle("now", now.has(position));
      element.classList.toggle("tracked", tracked.has(position));
    }
  }

  #point(target) {
    const position = target.dataset?.position;
    this.tell(position === undefined ? "" : this.#describe(Number(position)));
  }

  #move(event) {
    const columns = getComputedStyle(this.element).gridTemplateColumns.split(" ").length;
    const by = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -columns, ArrowDown: columns }[event.key];
    if (by === undefined || this.#cells.length === 0) return;
    event.preventDefault();
    const from = this.#cursor < 0 ? this.#run.prompt.length - by : this.#cursor;
    this.#setCursor(Math.min(Math.max(from + by, 0), this.#cells.length - 1));
  }

  #setCursor(position) {
    this.#cells[this.#cursor]?.element.classList.remove("cursor");
    this.#cursor = position;
    const cell = this.#cells[position];
    if (!cell) return;
    cell.element.classList.add("cursor");
    cell.element.scrollIntoView({ block: "nearest" });
    this.tell(this.#describe(position));
  }

  #describe(position) {
    const { commit, step, element } = this.#cells[position];
    const tracked = element.classList.contains("tracked") ? " · tracked" : "";
    if (position < this.#run.prompt.length) return `position ${position} · prompt “${this.#run.prompt[position]}”${tracked}`;
    if (!commit) return `position ${position} · masked${tracked}`;
    const confidence = commit.confidence === null ? "" : ` · confidence ${commit.confidence.toFixed(3)}`;
    return `position ${position} · “${commit.token}” · step ${step}${confidence}${tracked}`;
  }
}

function write(element, token) {
  const { text, special } = shownToken(token);
  setText(element, text);
  element.classList.toggle("special", special);
  element.classList.toggle("long", text.length > 4);
}
