// One generation as it was seen: its steps and when they came, its text, what it cost. No DOM in here.

const LEAST_MS_BETWEEN_STEPS = 0.001;

export class Run {
  steps = []; // {time, boundary, similarity, tracked, committed: [{position, id, token, confidence}]}
  text = "";
  state = "waiting"; // running, done, stopped, failed
  error = "";
  cost = null; // the answer's `diffusion`: parameters and counts, once it is there
  usage = null;
  finish = null;
  time = 0; // ms from asking to what came last
  #begin = 0;

  /** `prompt`: the texts of its tokens; `length`: how many masks follow them. */
  constructor({ policy, prompt, length, layers }) {
    Object.assign(this, { policy, prompt, length, layers });
  }

  begin(now) {
    this.state = "running";
    this.#begin = now;
  }

  /** Takes a chunk of the stream. */
  take(chunk, now) {
    this.time = now - this.#begin;
    if (chunk.usage) this.usage = chunk.usage;
    for (const choice of chunk.choices) {
      for (const entry of choice.diffusion?.trace ?? []) this.steps.push(stepOf(entry, this.#timeOfNext()));
      this.text += choice.delta?.content ?? "";
      if (!choice.finish_reason) continue;
      this.finish = choice.finish_reason;
      this.cost = choice.diffusion;
    }
  }

  /** When the next step came: steps of one chunk came together, and each is still to be seen alone. */
  #timeOfNext() {
    const last = this.steps.at(-1);
    return last ? Math.max(this.time, last.time + LEAST_MS_BETWEEN_STEPS) : this.time;
  }

  end(state, error = "") {
    this.state = state;
    this.error = error;
  }

  get over() {
    return !["waiting", "running"].includes(this.state);
  }

  /** How many steps had come `time` ms after asking. */
  stepsBy(time) {
    let count = 0;
    while (count < this.steps.length && this.steps[count].time <= time) count += 1;
    return count;
  }

  /** Counts of the first `count` steps; of all of them, as the server gives them where it does. */
  figures(count = this.steps.length) {
    const steps = this.steps.slice(0, count);
    const complete = this.cost !== null && count === this.steps.length;
    const committed = steps.reduce((sum, step) => sum + step.committed.length, 0);
    const tokens = (complete && this.usage?.completion_tokens) || committed;
    const redone = steps.reduce((sum, step) => sum + refreshedLayers(step, this.layers), 0);
    const seconds = (count ? steps[count - 1].time : 0) / 1000;
    const whole = count * this.layers * (this.prompt.length + this.length);
    return {
      passes: count,
      tokens,
      perSecond: seconds > 0 ? tokens / seconds : null,
      perPass: count ? tokens / count : null,
      refreshed: count ? redone / (count * this.layers) : null,
      rows: complete ? this.cost.rows_computed / whole : null,
    };
  }
}

function stepOf(entry, time) {
  const committed = entry.committed.map(([position, id], i) => {
    const said = entry.logprobs?.[i];
    return { position, id, token: said?.token ?? String(id), confidence: said ? Math.exp(said.logprob) : null };
  });
  return { ...entry, time, committed };
}

/** How many of its last layers a step recomputed; of the very last alone nothing needs to be (docs/algorithm.md). */
function refreshedLayers({ boundary }, layers) {
  return boundary === null || (boundary > 0 && boundary === layers - 1) ? 0 : layers - boundary;
}

/** What a step did to a layer: "full", "refreshed", "drifted" (so that those above it are refreshed), "reused". */
export function layerState(step, layer, layers) {
  if (step.boundary === 0) return "full";
  if (layer >= layers - refreshedLayers(step, layers)) return "refreshed";
  return step.boundary !== null && layer === step.boundary - 1 ? "drifted" : "reused";
}

// Of LLaDA's special tokens, short enough for a cell.
const SHORT = { startoftext: "bos", endoftext: "eos", eot_id: "eot", start_header_id: "head", end_header_id: "/head" };

/** A token as a cell can show it. */
export function shownToken(token) {
  const special = /^<\|(.+)\|>$/.exec(token)?.[1];
  if (special) return { text: SHORT[special] ?? special, special: true };
  const text = token.replaceAll("\n", "⏎").replaceAll("\t", "⇥").replaceAll(" ", "·");
  return { text, special: false };
}
