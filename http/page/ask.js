// A question put to the server: once, or once for each policy that is compared.

import { ApiError } from "./api.js";
import { Run } from "./run.js";

/** A request's body; what is undefined is left to the server. */
function bodyOf(messages, settings, policy) {
  return {
    messages,
    stream: true,
    stream_options: { include_usage: true },
    logprobs: true,
    max_tokens: settings.length,
    temperature: settings.temperature,
    seed: settings.seed,
    diffusion: { ...policy, threshold: settings.threshold, trace: true },
  };
}

/**
 * Asks with each of `policies` in turn, so that none takes time from another. `onBegin` is given the runs, `onChange`
 * called whenever one changes. Resolves when all is over, also when it was stopped or failed: the runs say which.
 * Throws an ApiError when nothing could begin.
 */
export async function ask({ api, model, messages, settings, policies, signal, onBegin, onChange }) {
  const { token_strs: tokens } = await api.json("tokenize", { messages, return_token_strs: true }, signal);
  // No more of a canvas than the server would have: what is longer it refuses, and then says so.
  const prompt = tokens.slice(0, model.max_model_len);
  const length = Math.min(Math.max(settings.length ?? 512, 0), model.max_model_len - prompt.length);
  const runs = policies.map(({ policy }) => new Run({ policy, prompt, length, layers: model.diffusion.num_layers }));
  onBegin(runs);
  for (const [i, run] of runs.entries()) {
    if (signal.aborted) run.end("stopped");
    else await answer(api, run, bodyOf(messages, settings, policies[i]), signal, onChange);
    onChange();
  }
}

async function answer(api, run, body, signal, onChange) {
  run.begin(performance.now());
  try {
    for await (const chunk of api.events("v1/chat/completions", body, signal)) {
      run.take(chunk, performance.now());
      onChange();
    }
    run.end("done");
  } catch (failure) {
    if (signal.aborted) run.end("stopped");
    else if (failure instanceof ApiError) run.end("failed", failure.message);
    else throw failure;
  }
}
