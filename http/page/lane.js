// One policy's place on the stage: its controls, counters, canvas and refresh map.

import { CanvasView } from "./canvas.js";
import { el, setText } from "./dom.js";
import { MapView } from "./map.js";
import { PolicyControls } from "./settings.js";

const COUNTERS = [
  { key: "perSecond", label: "tokens/s", title: "Tokens by the time from asking to the last step, as this page saw it", digits: 0 },
  { key: "passes", label: "passes", title: "Forward passes: steps of the model", digits: 0 },
  { key: "perPass", label: "tokens/pass", title: "Tokens committed in a step, on average", digits: 1 },
  { key: "refreshed", label: "refreshed", title: "Share of all layers in all steps that were recomputed for every position", percent: true },
  { key: "rows", label: "rows", title: "Rows computed, of those that as many passes would without a cache", percent: true },
];

const STATES = { waiting: "waiting", running: "denoising", done: "done", stopped: "stopped", failed: "failed" };
const HINT = "Point at a cell, or move with the arrow keys";

function shown(value, { digits, percent }) {
  if (value === null) return "–";
  return percent ? `${Math.round(value * 100)} %` : value.toFixed(digits);
}

export class Lane {
  /** `seek`: called with this lane and the index of a step that is chosen in its map. */
  constructor(name, seek) {
    this.name = name;
    this.run = null;
    const tell = (text) => setText(this.readout, text || HINT);
    this.controls = new PolicyControls(`lane ${name}`);
    this.canvas = new CanvasView(`lane ${name}`, tell);
    this.map = new MapView(`lane ${name}`, tell, (step) => seek(this, step));
    this.state = el("span", { class: "state" });
    this.counters = COUNTERS.map((counter) => ({ ...counter, value: el("dd", { "data-counter": counter.key }, "–") }));
    this.readout = el("output", { class: "readout" }, HINT);
    this.element = el(
      "section",
      { class: "lane", "aria-label": `Lane ${name}` },
      el("header", {}, el("h2", {}, name), this.controls.element, this.state),
      el("dl", { class: "counters" }, ...this.counters.map(({ label, title, value }) => el("div", { title }, value, el("dt", {}, label)))),
      this.canvas.element,
      this.map.element,
      this.readout,
    );
    this.clear();
  }

  /** Draws the first `count` steps of a run. */
  show(run, count) {
    this.run = run;
    this.element.dataset.state = run.state;
    setText(this.state, STATES[run.state]);
    const figures = run.figures(count);
    for (const counter of this.counters) setText(counter.value, shown(figures[counter.key], counter));
    this.canvas.show(run, count);
    this.map.show(run, count);
  }

  clear() {
    this.run = null;
    this.element.dataset.state = "empty";
    setText(this.state, "");
    for (const { value } of this.counters) setText(value, "–");
    this.canvas.clear();
    this.map.clear();
  }
}
