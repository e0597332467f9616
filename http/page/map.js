// The refresh map of a run: a column for each step, a cell for each layer (the first at the bottom), and below it the
// positions that the step committed and followed.

import { el } from "./dom.js";
import { layerState } from "./run.js";

const SAYS = {
  full: "computed (full forward)",
  refreshed: "refreshed",
  drifted: "drifted: what lies above it is refreshed",
  last: "drifted, but of the last layer nothing needs recomputing",
  reused: "reused",
};

export class MapView {
  #run = null;
  #columns = [];
  #cursor = null; // {step, layer}

  /** `tell`: as of the canvas; `seek`: called with a step's index when it is chosen. */
  constructor(name, tell, seek) {
    this.tell = tell;
    this.seek = seek;
    this.axis = el("div", { class: "axis", "aria-hidden": "true" });
    this.columns = el("div", {
      class: "columns",
      role: "group",
      tabindex: 0,
      "aria-label": `Refresh map of ${name}`,
      onpointerover: (event) => this.#point(event.target),
      onpointerleave: () => this.tell(""),
      onclick: (event) => this.#choose(event.target.closest(".column")),
      onkeydown: (event) => this.#move(event),
      onblur: () => this.#setCursor(null),
    });
    this.element = el("div", { class: "map" }, this.axis, this.columns);
  }

  /** Draws all steps of `run`; those behind the first `count` are dimmed. */
  show(run, count) {
    if (run !== this.#run) this.#begin(run);
    while (this.#columns.length < run.steps.length) this.#add(this.#columns.length);
    this.element.style.setProperty("--steps", Math.max(run.steps.length, 2));
    for (const [i, column] of this.#columns.entries()) {
      column.classList.toggle("later", i >= count);
      column.classList.toggle("current", i === count - 1);
    }
    if (!run.over) this.columns.scrollLeft = this.columns.scrollWidth;
  }

  clear() {
    this.#run = null;
    this.#columns = [];
    this.columns.replaceChildren();
    this.axis.replaceChildren();
  }

  #begin(run) {
    this.clear();
    this.#run = run;
    this.#cursor = null;
    this.element.style.setProperty("--layers", run.layers);
    const labels = Array.from({ length: run.layers }, (_, i) => el("span", {}, String(run.layers - 1 - i)));
    this.axis.replaceChildren(...labels, el("span", { class: "strip-label" }, "positions"));
  }

  #add(index) {
    const step = this.#run.steps[index];
    const column = el("div", { class: "column", "data-step": index });
    for (let layer = this.#run.layers - 1; layer >= 0; --layer) {
      const cell = el("i", { class: `layer ${layerState(step, layer, this.#run.layers)}`, "data-layer": layer });
      const similarity = step.similarity[layer];
      if (similarity !== undefined) {
        cell.dataset.similarity = similarity;
        cell.style.setProperty("--drift", Math.min(Math.max(1 - similarity, 0), 1));
      }
      column.append(cell);
    }
    column.append(this.#strip(step, index));
    this.#columns.push(column);
    this.columns.append(column);
  }

  #strip(step, index) {
    const total = this.#run.prompt.length + this.#run.length;
    const mark = (kind) => (position) => {
      const element = el("b", { class: kind });
      element.style.setProperty("--at", position / total);
      return element;
    };
    const strip = el("div", { class: "strip", "data-tracked": step.tracked.length });
    strip.style.setProperty("--step", index);
    strip.append(...step.tracked.map(mark("tracked")), ...step.committed.map(({ position }) => position).map(mark("committed")));
    return strip;
  }

  #point(target) {
    const column = target.closest(".column");
    this.tell(column ? this.#describe(Number(column.dataset.step), target.dataset.layer) : "");
  }

  #choose(column) {
    if (column) this.seek(Number(column.dataset.step));
  }

  #move(event) {
    if (this.#columns.length === 0) return;
    const [steps, layers] = [this.#columns.length, this.#run.layers];
    const at = this.#cursor ?? { step: 0, layer: 0 };
    if (event.key === "Enter") this.seek(at.step);
    const by = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1] }[event.key];
    if (!by) return;
    event.preventDefault();
    const moved = (value, change, count) => Math.min(Math.max(value + change, 0), count - 1);
    this.#setCursor(this.#cursor ? { step: moved(at.step, by[0], steps), layer: moved(at.layer, by[1], layers) } : at);
  }

  #setCursor(at) {
    this.columns.querySelector(".cursor")?.classList.remove("cursor");
    this.#cursor = at;
    if (!at) return;
    const cell = this.#columns[at.step].children[this.#run.layers - 1 - at.layer];
    cell.classList.add("cursor");
    cell.scrollIntoView({ block: "nearest", inline: "nearest" });
    this.tell(this.#describe(at.step, at.layer));
  }

  #describe(index, layer) {
    const step = this.#run.steps[index];
    const followed = step.tracked.length ? `tracked positions ${step.tracked.join(", ")}` : "no tracked positions";
    if (layer === undefined) return `step ${index} · ${step.committed.length} committed · ${followed}`;
    const similarity = step.similarity[layer];
    const drift = similarity === undefined ? "" : ` · similarity ${similarity.toFixed(3)}, drift ${(1 - similarity).toFixed(3)}`;
    const { layers } = this.#run;
    const state = step.boundary === layers - 1 && Number(layer) === layers - 2 ? "last" : layerState(step, Number(layer), layers);
    return `step ${index} · layer ${layer} · ${SAYS[state]}${drift}`;
  }
}
