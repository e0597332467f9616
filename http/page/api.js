// The server's API, as far as the page uses it (docs/api.md).

/** What went wrong, in words for a person. */
export class ApiError extends Error {
  constructor(message, status = 0) {
    super(message);
    this.status = status;
  }
}

export class Api {
  key = ""; // of the settings; kept nowhere else

  /** GET without a body, POST with one. */
  async json(path, body, signal) {
    const answer = await this.#send(path, body, signal);
    return answer.json();
  }

  /** The events of a stream as objects, up to [DONE]. Aborting `signal` closes the connection, which frees the server. */
  async *events(path, body, signal) {
    const answer = await this.#send(path, body, signal);
    try {
      for await (const data of eventData(answer.body)) {
        if (data === "[DONE]") return;
        const event = JSON.parse(data);
        if (event.error) throw new ApiError(event.error.message);
        yield event;
      }
    } catch (failure) {
      throw signal.aborted || failure instanceof ApiError ? failure : new ApiError("The connection to the server broke.");
    }
    throw new ApiError("The server ended the answer early.");
  }

  async #send(path, body, signal) {
    const headers = { ...(body && { "Content-Type": "application/json" }), ...(this.key && { Authorization: `Bearer ${this.key}` }) };
    let answer;
    try {
      answer = await fetch(path, { method: body ? "POST" : "GET", headers, body: body && JSON.stringify(body), signal });
    } catch (failure) {
      throw signal?.aborted ? failure : new ApiError("The server cannot be reached.");
    }
    if (!answer.ok) throw await refusalOf(answer);
    return answer;
  }
}

async function refusalOf(answer) {
  const said = await answer.json().catch(() => null);
  return new ApiError(said?.error?.message ?? `The server answered with status ${answer.status}.`, answer.status);
}

/** The `data` of server-sent events, whatever pieces they arrive in. */
export async function* eventData(stream) {
  const reader = stream.pipeThrough(new TextDecoderStream()).getReader();
  let text = "";
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      const events = (text + value).split("\n\n");
      text = events.pop();
      for (const event of events) if (event.startsWith("data: ")) yield event.slice(6);
    }
  } finally {
    reader.cancel().catch(() => {});
  }
}
