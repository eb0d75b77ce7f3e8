"use strict";

// The state is the server's: what changes is asked of it, and what it answers is shown. In the page
// are only the frame that is looked at, the chosen object and tool, and what is being drawn.

const byId = (id) => document.getElementById(id);
const view = { frame: 1, chosen: null, tool: "box", opacity: 0.5, playing: false, picture: null, masks: null };
let state = null;
let curves = { last: 0, objects: {}, doubts: [] };

// ---- the server

async function ask(path, options) {
  const reply = await fetch(path, options);
  const text = await reply.text();
  if (reply.ok) return JSON.parse(text);
  let content;
  try {
    content = JSON.parse(text);
  } catch {
    // the guard says in plain text why it refuses
    content = { error: text || `the server answered ${reply.status}` };
  }
  if (content.conflict) adopt(await ask("/api/state"));
  throw new Error(content.error);
}

const send = (path, content) => ask(path, { method: "POST", body: JSON.stringify(content) });

// Does something that may fail, and says so if it does.
async function attempt(action) {
  try {
    document.body.dataset.busy = "yes";
    await action();
    return true;
  } catch (error) {
    if (error instanceof TypeError) lose(true);
    else say(error.message);
    return false;
  } finally {
    delete document.body.dataset.busy;
  }
}

let silence = 0;

function say(text) {
  byId("message").textContent = text;
  byId("message").hidden = !text;
  clearTimeout(silence);
  silence = setTimeout(() => { byId("message").hidden = true; }, 8000);
}

// While there is no connection, the page says so; what is shown may be old.
function lose(lost) {
  byId("lost").hidden = !lost;
}

// Changes are asked for one after the other: each has the revision that the one before gave.
let queue = Promise.resolve();

function change(kind, content = {}) {
  const done = queue.then(() => attempt(async () => {
    adopt(await send("/api/change", { revision: state.revision, kind, ...content }));
    await look();
  }));
  queue = done;
  return done;
}

function listen() {
  const events = new EventSource("/api/events");
  events.onopen = () => lose(false);
  events.onerror = () => lose(true);
  events.addEventListener("state", async (event) => {
    const before = state && state.job;
    adopt(JSON.parse(event.data));
    if (before && !state.job) await refreshCurves();
    if (state.error) say(state.error);
    look();
  });
  events.addEventListener("progress", (event) => {
    const job = JSON.parse(event.data);
    if (state) state.job = job;
    showJob();
    if (byId("watch").checked && !job.replaying) show(job.frame);
    if (!job.replaying) refreshCurvesSoon();
  });
}

let refreshing = 0;

function refreshCurvesSoon() {
  if (refreshing) return;
  refreshing = setTimeout(async () => { await refreshCurves(); refreshing = 0; }, 1000);
}

async function refreshCurves() {
  curves = await ask("/api/curves");
  listDoubts();
  drawStrips();
}

// ---- the frame

// A few pictures by their frames, also the next one before it is asked for.
const pictures = new Map();
const KEPT_PICTURES = 4;

function pictureOf(frame) {
  if (!pictures.has(frame)) {
    const image = new Image();
    image.src = `/api/frames/${frame}`;
    const loaded = image.decode().then(() => ({ frame, image }));
    loaded.catch(() => pictures.delete(frame));
    pictures.set(frame, loaded);
    if (pictures.size > KEPT_PICTURES) pictures.delete(pictures.keys().next().value);
  }
  return pictures.get(frame);
}

let looking = 0;

// Loads picture and masks of the frame that is looked at; what comes too late is not shown.
async function look() {
  const turn = ++looking;
  const frame = view.frame;
  const [picture, found] = await Promise.all([pictureOf(frame), ask(`/api/masks/${frame}`)]);
  if (turn !== looking) return;
  [view.picture, view.masks] = [picture, found];
  paint();
  document.body.dataset.shown = frame;
  if (frame < state.video.frames) pictureOf(frame + 1);
}

function paint() {
  if (!view.picture || !view.masks || !state) return;
  const shown = view.masks.objects.flatMap(({ number, mask, given }) => {
    const object = state.objects.find((one) => one.number === number);
    return mask && object && !object.hidden ? [{ mask, given, colour: object.colour }] : [];
  });
  const chosen = view.masks.objects.find(({ number }) => number === view.chosen);
  paintPicture(view.picture.image, shown, chosen ? chosen.clicks : [], view.opacity, view.masks.stale);
}

function show(frame) {
  view.frame = Math.min(Math.max(frame, 1), state.video.frames);
  const text = `frame ${view.frame} of ${state.video.frames}`;
  byId("scrubber").value = view.frame;
  byId("scrubber").setAttribute("aria-valuetext", text);
  byId("position").textContent = text;
  drawStrips();
  return look().catch((error) => say(error.message));
}

async function play(on) {
  view.playing = on;
  byId("play").textContent = on ? "Stop" : "Play";
  byId("play").setAttribute("aria-pressed", on);
  byId("position").setAttribute("aria-live", on ? "off" : "polite");
  while (view.playing && view.frame < state.video.frames) {
    const pause = new Promise((resolve) => setTimeout(resolve, 1000 / Math.min(state.video.rate, 25)));
    await Promise.all([show(view.frame + 1), pause]);
  }
  if (on && view.playing) play(false);
}

// ---- what is shown beside it

function adopt(next) {
  const first = !state;
  // an answer may come after an event that was newer
  if (!first && next.serial < state.serial) return;
  const before = state;
  state = next;
  if (first) {
    fitPicture(state.video.size);
    byId("title").textContent = state.video.name;
    document.title = `${state.video.name} · HQTrack`;
    byId("scrubber").max = byId("to").max = state.video.frames;
    byId("place").textContent = `The project is in ${state.folder}. Everything is saved at once.`;
  }
  byId("about").textContent = `${state.tracker} tracker, ${state.prompter} for boxes and clicks`;
  const numbers = state.objects.map(({ number }) => number);
  if (!numbers.includes(view.chosen)) view.chosen = numbers.at(-1) ?? null;
  byId("undo").disabled = !state.can_undo || Boolean(state.job);
  byId("redo").disabled = !state.can_redo || Boolean(state.job);
  listObjects();
  const known = before && before.objects.map(({ number, name }) => `${number} ${name}`).join();
  if (known !== state.objects.map(({ number, name }) => `${number} ${name}`).join()) {
    buildTimeline(state.objects, (share) => show(Math.floor(share * state.video.frames) + 1));
  }
  showJob();
  drawStrips();
  paint();
}

let listed = "";

function listObjects() {
  const content = JSON.stringify([state.objects, view.chosen]);
  if (content === listed) return;
  listed = content;
  const busy = document.activeElement && document.activeElement.dataset.key;
  byId("objects").replaceChildren(...state.objects.map((object, place) => {
    const chip = document.createElement("i");
    chip.style.background = `rgb(${object.colour.join(",")})`;
    const choose = button("choose", object.name, () => { view.chosen = object.number; listObjects(); paint(); });
    choose.prepend(chip);
    choose.dataset.key = `choose-${object.number}`;
    choose.setAttribute("aria-pressed", object.number === view.chosen);
    const given = document.createElement("small");
    given.textContent = object.given.length ? `given on ${object.given.join(", ")}` : "not marked yet";
    const hide = button("small", object.hidden ? "show" : "hide", () =>
      change("hide", { number: object.number, hidden: !object.hidden }));
    const rename = button("small", "name", () => {
      const name = prompt(`New name of ${object.name}`, object.name);
      if (name) change("rename", { number: object.number, name });
    });
    const remove = button("small", "delete", () => change("delete", { number: object.number }));
    for (const each of [hide, rename, remove]) each.setAttribute("aria-label", `${each.textContent} ${object.name}`);
    const row = document.createElement("li");
    row.className = object.number === view.chosen ? "chosen" : "";
    row.title = place < 9 ? `key ${place + 1}` : "";
    row.append(choose, given, hide, rename, remove);
    return row;
  }));
  if (busy) document.querySelector(`[data-key="${busy}"]`)?.focus();
}

function button(className, text, onclick) {
  return Object.assign(document.createElement("button"), { type: "button", className, textContent: text, onclick });
}

function showJob() {
  const { job } = state;
  byId("track").disabled = Boolean(job);
  byId("stop").disabled = !job;
  byId("progress").value = job ? job.frame / job.to : state.tracked / state.video.frames;
  byId("pace").textContent = job ? jobText(job) : restText();
}

function jobText({ frame, to, replaying, seconds_left: left }) {
  if (replaying) return frame ? `reading frame ${frame} again, for the tracker's memory` : "starting";
  return `frame ${frame} of ${to}${left === null ? "" : `, ${Math.ceil(left)} s left`}`;
}

function restText() {
  if (state.stale !== null) return `masks from frame ${state.stale} on are to be tracked again`;
  return `${state.tracked} of ${state.video.frames} frames are tracked`;
}

function listDoubts() {
  const names = Object.fromEntries(state.objects.map(({ number, name }) => [number, name]));
  const doubts = curves.doubts.filter(({ number }) => number in names);
  byId("doubts-title").textContent = `Doubtful places (${doubts.length})`;
  byId("doubts").replaceChildren(...doubts.map(({ frame, number, reason }) =>
    Object.assign(document.createElement("option"), { value: frame, textContent: `frame ${frame} · ${names[number]} · ${reason}` })));
}

function nextDoubt() {
  const ahead = curves.doubts.map(({ frame }) => frame).filter((frame) => frame > view.frame);
  const frame = ahead.length ? ahead[0] : curves.doubts.length ? curves.doubts[0].frame : null;
  if (frame === null) say("no place is doubtful");
  else show(frame);
}

function drawStrips() {
  if (state) drawTimeline(state.objects, curves, state.video.frames, view.frame, state.stale);
}

// ---- keys and buttons

function chooseTool(tool) {
  const radio = document.querySelector(`[name=tool][value=${tool}]`);
  radio.checked = true;
  view.tool = tool;
}

function track() {
  const to = byId("to").value ? Number(byId("to").value) : null;
  return attempt(async () => adopt(await send("/api/start", { to })));
}

const stop = () => attempt(async () => adopt(await send("/api/stop", {})));

function onKey(event) {
  const { target } = event;
  if (pointKey(event)) {
    event.preventDefault();
    return;
  }
  const key = event.key.length === 1 ? event.key.toLowerCase() : event.key;
  if ((event.ctrlKey || event.metaKey) && key === "z" && !target.matches("input:not([type=range], [type=radio], [type=checkbox])")) {
    event.preventDefault();
    change(event.shiftKey ? "redo" : "undo");
    return;
  }
  const typing = target.matches("select, input:not([type=checkbox], [type=radio], #scrubber)") || byId("export").open;
  if (event.ctrlKey || event.metaKey || event.altKey || typing) return;
  const stride = event.shiftKey ? 10 : 1;
  const actions = {
    ArrowLeft: () => show(view.frame - stride),
    ArrowRight: () => show(view.frame + stride),
    Home: () => show(1),
    End: () => show(state.video.frames),
    " ": () => play(!view.playing),
    b: () => chooseTool("box"),
    c: () => chooseTool("click"),
    x: () => chooseTool("unclick"),
    p: () => chooseTool("brush"),
    e: () => chooseTool("eraser"),
    n: () => change("add"),
    d: nextDoubt,
    t: track,
    Escape: stop,
  };
  const number = Number(key);
  if (number >= 1 && state.objects[number - 1]) {
    actions[key] = () => { view.chosen = state.objects[number - 1].number; listObjects(); paint(); };
  }
  const action = actions[key];
  if (!action || (key === " " && target.matches("button, summary, input"))) return;
  event.preventDefault();
  action();
}

async function openExport() {
  const formats = await ask("/api/formats");
  byId("formats").replaceChildren(...formats.map(({ name, about }) => {
    const label = document.createElement("label");
    const box = Object.assign(document.createElement("input"), { type: "checkbox", value: name });
    label.append(box, ` ${name}: ${about}`);
    return label;
  }));
  byId("written").textContent = "";
  byId("export").showModal();
}

async function doExport() {
  const formats = Array.from(document.querySelectorAll("#formats input:checked"), (box) => box.value);
  byId("written").textContent = formats.length ? "writing …" : "choose at least one format";
  if (!formats.length) return;
  byId("do-export").disabled = true;
  try {
    const { written } = await send("/api/export", { formats });
    byId("written").textContent = `written:\n${written.join("\n")}`;
  } catch (error) {
    byId("written").textContent = error.message;
  }
  byId("do-export").disabled = false;
}

async function sendFile(file) {
  if (view.chosen === null && !await change("add")) return;
  const query = new URLSearchParams({ revision: state.revision, number: view.chosen, frame: view.frame });
  await attempt(async () => {
    adopt(await ask(`/api/mask?${query}`, { method: "POST", body: file }));
    await look();
  });
}

async function showCommand() {
  if (!byId("outside").open) return;
  byId("command").textContent = "";
  await attempt(async () => {
    const { command } = await ask("/api/command");
    byId("command").textContent = command;
  });
}

function buildPage() {
  byId("outside").ontoggle = showCommand;
  for (const element of document.querySelectorAll("[data-step]")) {
    const { step } = element.dataset;
    element.onclick = () => show({ first: 1, last: state.video.frames }[step] ?? view.frame + Number(step));
  }
  for (const radio of document.querySelectorAll("[name=tool]")) radio.onchange = () => chooseTool(radio.value);
  const onChosen = (kind) => () => view.chosen !== null && change(kind, { number: view.chosen, frame: view.frame });
  const clicks = {
    play: () => play(!view.playing),
    undo: () => change("undo"),
    redo: () => change("redo"),
    gone: onChosen("gone"),
    "take-back": onChosen("take_back"),
    track,
    stop,
    "next-doubt": nextDoubt,
    "open-export": () => attempt(openExport),
    "do-export": doExport,
    "close-export": () => byId("export").close(),
    add: async () => {
      const before = state.objects.length;
      await change("add", { name: byId("name").value });
      if (state.objects.length > before) {
        view.chosen = state.objects.at(-1).number;
        byId("name").value = "";
        listObjects();
        paint();
      }
    },
  };
  for (const [id, action] of Object.entries(clicks)) byId(id).onclick = action;
  byId("scrubber").oninput = (event) => show(Number(event.target.value));
  byId("opacity").oninput = (event) => { view.opacity = event.target.value / 100; paint(); };
  byId("doubts").onchange = byId("doubts").onclick = (event) => event.target.value && show(Number(byId("doubts").value));
  byId("file").onchange = async (event) => {
    const [file] = event.target.files;
    if (file) await sendFile(file);
    event.target.value = "";
  };
  document.addEventListener("keydown", onKey);
  onPointer();
  new ResizeObserver(drawStrips).observe(byId("timeline"));
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", drawStrips);
}

async function begin() {
  adopt(await ask("/api/state"));
  buildPage();
  await refreshCurves();
  await show(1);
  listen();
}

attempt(begin);
