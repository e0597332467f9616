// What can be set: for every answer (length, threshold ...), and for each lane its policy and what that policy uses. A
// field that is left empty is left to the server, whose default stands in it greyed.

import { byId, el } from "./dom.js";

/** A policy's fields, with those policies that do not use them; of policies not named here all are shown. */
const FIELDS = [
  {
    key: "gamma",
    label: "γ",
    title: "A layer whose attention is less similar to the last step's than this has drifted, and is refreshed",
    step: 0.05,
    not: ["none", "prefix", "dual", "interval", "dkv", "flash"],
  },
  { key: "window", label: "window", title: "How many masked positions a step looks at", step: 1, not: ["none", "prefix", "dual", "dkv"] },
  { key: "refresh_every", label: "every", title: "Steps between full refreshes", step: 1, not: ["none", "prefix", "dual", "elastic", "flash", "horizon"] },
  { key: "block_length", label: "block", title: "Positions of a block; must divide the length", step: 1, not: ["elastic", "interval", "flash", "horizon"] },
  {
    key: "horizon",
    label: "horizon",
    title: "How many positions the canvas has from its first mask on",
    step: 8,
    not: ["none", "prefix", "dual", "elastic", "interval", "dkv", "flash"],
  },
];

/** A number field's value; undefined: left to the server. */
function numberIn(input) {
  return input.value.trim() === "" ? undefined : Number(input.value);
}

/** The fields that all answers share. */
export function readSettings() {
  const names = ["length", "threshold", "temperature", "seed"];
  return Object.fromEntries(names.map((name) => [name, numberIn(byId(name))]));
}

/** Shows the server's defaults in the fields that all answers share. */
export function showDefaults(model) {
  byId("length").placeholder = Math.min(512, model.max_model_len);
  byId("threshold").placeholder = model.diffusion.defaults.threshold ?? "";
}

/** The controls at the top of a lane. */
export class PolicyControls {
  #policies = [];

  constructor(lane) {
    this.select = el("select", { "aria-label": `Policy of ${lane}`, class: "policy", onchange: () => this.#show() });
    this.fields = FIELDS.map(({ key, label, title, step, not }) => {
      const input = el("input", { type: "number", step, name: key, "aria-label": `${key} of ${lane}` });
      return { key, not, input, label: el("label", { title }, el("span", {}, label), input) };
    });
    this.element = el("div", { class: "controls" }, this.select, ...this.fields.map(({ label }) => label));
    this.#show();
  }

  /** What the server knows; `policy`: the one to begin with. */
  offer({ policies, defaults }, policy) {
    this.#policies = policies;
    this.select.replaceChildren(...policies.map(({ name, summary }) => el("option", { value: name, title: summary }, name)));
    this.select.value = policies.some(({ name }) => name === policy) ? policy : defaults.policy;
    for (const { key, input } of this.fields) input.placeholder = defaults[key] ?? "";
    this.#show();
  }

  /** The fields for a request's `diffusion`. */
  read() {
    const shown = this.fields.filter(({ label }) => !label.hidden);
    return { policy: this.select.value, ...Object.fromEntries(shown.map(({ key, input }) => [key, numberIn(input)])) };
  }

  #show() {
    for (const { label, not } of this.fields) label.hidden = not.includes(this.select.value);
    this.select.title = this.#policies.find(({ name }) => name === this.select.value)?.summary ?? "";
  }
}
