// Wires the page: what is typed goes to the server, what comes back to the chat and to the stage.

import { Api, ApiError } from "./api.js";
import { ask } from "./ask.js";
import { Chat } from "./chat.js";
import { byId, el, setText } from "./dom.js";
import { examples } from "./examples.js";
import { Lane } from "./lane.js";
import { Player } from "./player.js";
import { readSettings, showDefaults } from "./settings.js";
import { comparison } from "./verdict.js";

const api = new Api();
const chat = new Chat(put);
const lanes = ["A", "B"].map((name) => new Lane(name, (lane, step) => player.seekStep(lane.run, step)));
const player = new Player(draw);
let model = null;
let asking = null; // an AbortController while an answer is under way
let onStage = null; // the turn whose runs are shown

/** Draws the steps that had come `time` ms after asking. */
function draw(time) {
  for (const [i, run] of (onStage?.runs ?? []).entries()) lanes[i].show(run, run.stepsBy(time));
}

/** Puts a turn on the stage, or nothing. */
function put(turn) {
  const runs = turn?.runs ?? [];
  onStage = turn;
  arrange();
  chat.setCurrent(turn);
  for (const lane of lanes.slice(runs.length)) lane.clear();
  player.follow(runs);
  setText(byId("verdict"), comparison(runs));
}

/** The model that is served, asked for once; again after a failure. */
async function getModel() {
  if (model) return model;
  const [served] = (await api.json("v1/models")).data;
  model = served;
  setText(byId("model"), `${model.id} · ${model.diffusion.num_layers} layers · context ${model.max_model_len}`);
  lanes[0].controls.offer(model.diffusion, model.diffusion.defaults.policy);
  lanes[1].controls.offer(model.diffusion, "none");
  showDefaults(model);
  return model;
}

function messagesFor(question) {
  const before = byId("history").checked ? chat.messages() : [];
  return [...before, { role: "user", content: question }];
}

async function send(question) {
  if (asking || question.trim() === "") return;
  asking = new AbortController();
  document.body.dataset.asking = "";
  const messages = messagesFor(question);
  const turn = chat.add(question);
  let drawing = false;
  const change = () => {
    if (drawing) return;
    drawing = true; // a step may take less than a frame
    requestAnimationFrame(() => {
      drawing = false;
      if (!turn.element.isConnected) return; // a new chat has begun
      chat.update(turn);
      if (onStage === turn) put(turn); // unless another is looked at meanwhile
    });
  };
  try {
    await ask({
      api,
      model: await getModel(),
      messages,
      settings: readSettings(),
      policies: lanes.slice(0, comparing() ? 2 : 1).map((lane) => lane.controls.read()),
      signal: asking.signal,
      onBegin: (runs) => {
        chat.fill(turn, runs);
        put(turn);
      },
      onChange: change,
    });
  } catch (failure) {
    refuse(turn, failure);
  } finally {
    asking = null;
    delete document.body.dataset.asking;
  }
}

function refuse(turn, failure) {
  if (failure.name === "AbortError") return chat.fail(turn, "Stopped.");
  chat.fail(turn, failure instanceof ApiError ? failure.message : "The page failed: see the browser's console.");
  if (!(failure instanceof ApiError)) throw failure;
  if (failure.status === 401) askForKey();
}

function askForKey() {
  byId("settings").open = true;
  byId("key").focus();
}

function stop() {
  asking?.abort();
}

const comparing = () => byId("compare").checked;

/** The second lane is there for the next question, or for what is on the stage. */
function arrange() {
  const two = comparing() || onStage?.runs.length === 2;
  lanes[1].element.hidden = !two;
  byId("stage").classList.toggle("two", two);
}

function begin() {
  byId("lanes").append(...lanes.map((lane) => lane.element));
  const question = byId("question");
  byId("ask").addEventListener("submit", (event) => {
    event.preventDefault();
    if (asking) return;
    send(question.value);
    question.value = "";
  });
  question.addEventListener("keydown", (event) => {
    if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
    event.preventDefault();
    byId("ask").requestSubmit();
  });
  document.addEventListener("keydown", (event) => event.key === "Escape" && stop());
  byId("stop").addEventListener("click", stop);
  byId("compare").addEventListener("change", arrange);
  byId("key").addEventListener("input", (event) => (api.key = event.target.value.trim()));
  byId("key").addEventListener("change", () => getModel().catch(() => {}));
  byId("clear").addEventListener("click", () => {
    stop();
    chat.clear();
    put(null);
  });
  byId("theme").addEventListener("click", () => {
    const { dataset } = document.documentElement;
    const now = dataset.theme ?? (matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light");
    dataset.theme = now === "dark" ? "light" : "dark";
  });
  for (const example of examples) {
    const take = () => {
      if (asking) return;
      const { length, question: text } = example.take();
      byId("length").value = length;
      send(text);
    };
    byId("examples").append(el("button", { type: "button", onclick: take }, example.name));
  }
  put(null);
  getModel().catch((failure) => {
    setText(byId("model"), failure.message);
    if (failure.status === 401) askForKey();
  });
}

begin();
