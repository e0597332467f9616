// Goes through the steps of what is on the stage. The moments are when steps came, in any of the runs; they are played
// with the distances that they had, slowed down where that would be too quick to see.

import { byId, setText } from "./dom.js";

const LEAST_MS = 5000; // a replay takes at least this long
const LEAST_MS_A_MOMENT = 120;

export class Player {
  #runs = [];
  #moments = [];
  #at = 0; // how many moments are shown
  #frame = 0;

  /** `draw`: called with the time up to which steps are to be shown. */
  constructor(draw) {
    this.draw = draw;
    this.button = byId("play");
    this.slider = byId("moment");
    this.label = byId("moment-label");
    this.button.addEventListener("click", () => (this.#frame ? this.#pause() : this.#play()));
    this.slider.addEventListener("input", () => this.#seek(Number(this.slider.value)));
  }

  /** Shows the end of `runs`, which may still go on: call again when they do. */
  follow(runs) {
    this.#pause();
    this.#runs = runs;
    this.#moments = [...new Set(runs.flatMap((run) => run.steps.map((step) => step.time)))].sort((a, b) => a - b);
    this.slider.max = this.#moments.length;
    this.button.disabled = this.slider.disabled = this.#moments.length === 0 || !runs.every((run) => run.over);
    this.#seekTo(this.#moments.length);
  }

  /** Shows up to a step of one of the runs. */
  seekStep(run, step) {
    if (!this.slider.disabled) this.#seek(this.#moments.indexOf(run.steps[step].time) + 1);
  }

  #seek(at) {
    this.#pause();
    this.#seekTo(at);
  }

  #seekTo(at) {
    this.#at = at;
    this.slider.value = at;
    const time = at === 0 ? -1 : this.#moments[at - 1];
    const last = this.#moments.at(-1) ?? 0;
    setText(this.label, `${Math.round(Math.max(time, 0))} of ${Math.round(last)} ms`);
    this.draw(at === this.#moments.length ? Infinity : time);
  }

  #play() {
    const from = this.#at === this.#moments.length ? 0 : this.#at;
    const last = this.#moments.at(-1);
    const slower = Math.max(1, LEAST_MS / last, (LEAST_MS_A_MOMENT * this.#moments.length) / last);
    const begin = performance.now() - slower * (from ? this.#moments[from - 1] : 0);
    setText(this.button, "❚❚");
    this.button.setAttribute("aria-label", "Pause");
    this.#seekTo(from);
    const frame = (now) => {
      const time = (now - begin) / slower;
      let at = this.#at;
      while (at < this.#moments.length && this.#moments[at] <= time) at += 1;
      if (at !== this.#at) this.#seekTo(at);
      if (at === this.#moments.length) this.#pause();
      else this.#frame = requestAnimationFrame(frame);
    };
    this.#frame = requestAnimationFrame(frame);
  }

  #pause() {
    cancelAnimationFrame(this.#frame);
    this.#frame = 0;
    setText(this.button, "▶");
    this.button.setAttribute("aria-label", "Replay");
  }
}
