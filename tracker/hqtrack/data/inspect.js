"use strict";

const LAYERS = {
  coarse: { title: "VMOS", line: "solid" },
  refined: { title: "HQ-SAM", line: "dashed" },
  chosen: { title: "Chosen", line: "" },
  truth: { title: "Ground truth", line: "contrast" },
};
const MEASURES = {
  region: { title: "J", about: "against ground truth" },
  boundary: { title: "F", about: "against ground truth" },
  iou: { title: "IoU", about: "VMOS with HQ-SAM" },
  confidence: { title: "Confidence", about: "0 to 1" },
  area: { title: "Area", about: "pixels" },
};
const FRAMES_PER_SECOND = 12;

const byId = (id) => document.getElementById(id);
const record = JSON.parse(byId("record").textContent);
const [height, width] = record.size;
const end = record.frames.length - 1;
const measures = Object.keys(MEASURES).filter((measure) =>
  record.objects.some((object) => object[measure].some((value) => value !== null)));
const state = { index: 0, frame: null, blended: false, opacity: 0.5, hidden: new Set(), focus: null, playing: false };

// ---- small tools

function make(tag, properties = {}, ...children) {
  const element = Object.assign(document.createElement(tag), properties);
  element.append(...children);
  return element;
}

const clamp = (value, low, high) => Math.min(Math.max(value, low), high);
const numberOf = (index) => record.frames[index][0];
const indexOf = (number) => record.frames.findIndex((frame) => frame[0] === number);
const css = (colour, alpha = 1) => `rgba(${colour.join(",")},${alpha})`;
const visible = () => record.objects.filter((object, n) => !state.hidden.has(n));
const themed = (name) => getComputedStyle(document.documentElement).getPropertyValue(name);

function written(measure, value) {
  if (value === null) return "–";
  return measure === "area" ? value.toLocaleString("en") : value.toFixed(2);
}

// ---- masks

// The run lengths of COCO's text: six bits a character, from the fourth on relative to the
// last but one.
function decodeRuns(text) {
  const runs = [];
  for (let at = 0; at < text.length;) {
    let run = 0, shift = 0, code;
    do {
      code = text.charCodeAt(at++) - 48;
      run |= (code & 31) << shift;
      shift += 5;
    } while (code & 32);
    if (code & 16) run |= -1 << shift;
    runs.push(runs.length > 2 ? run + runs[runs.length - 2] : run);
  }
  return runs;
}

// Pixels column by column, and the columns in which there are any.
function decodeMask(text) {
  const pixels = new Uint8Array(width * height);
  let at = 0, first = width, last = -1;
  decodeRuns(text).forEach((run, n) => {
    if (n % 2 && run) {
      pixels.fill(1, at, at + run);
      first = Math.min(first, Math.floor(at / height));
      last = Math.floor((at + run - 1) / height);
    }
    at += run;
  });
  return { pixels, first, last };
}

function stain(image, mask, colour, fill, line, thickness) {
  const { pixels, first, last } = mask;
  const reach = thickness * height;
  for (let x = first; x <= last; x++) {
    for (let y = 0; y < height; y++) {
      const at = x * height + y;
      if (!pixels[at]) continue;
      const edge = line &&
        ((y >= thickness && !pixels[at - thickness]) || (y + thickness < height && !pixels[at + thickness]) ||
         (x >= thickness && !pixels[at - reach]) || (x + thickness < width && !pixels[at + reach]));
      const dash = ((x + y) / (3 * thickness)) & 1;
      let ink = null, alpha = fill;
      if (edge && line === "contrast") {
        ink = dash ? [255, 255, 255] : [0, 0, 0];
        alpha = 255;
      } else if (edge && !(line === "dashed" && dash)) {
        ink = colour;
        alpha = 255;
      } else if (fill) {
        ink = colour;
      }
      if (ink) {
        const to = 4 * (y * width + x);
        image[to] = ink[0];
        image[to + 1] = ink[1];
        image[to + 2] = ink[2];
        image[to + 3] = alpha;
      }
    }
  }
}

// ---- the frame

function layersOf(canvas) {
  const layer = canvas.dataset.layer;
  if (layer) return [{ layer, fill: true, line: "solid" }];
  const outlines = record.layers.filter((name) => name !== "chosen");
  return [{ layer: "chosen", fill: true, line: outlines.length ? "" : "solid" },
    ...outlines.map((name) => ({ layer: name, fill: false, line: LAYERS[name].line }))];
}

function paint() {
  const { picture, content, masks } = state.frame;
  const overlay = new OffscreenCanvas(width, height);
  for (const canvas of document.querySelectorAll("#pictures canvas")) {
    const context = canvas.getContext("2d");
    const thickness = clamp(Math.round(1.4 * width / (canvas.clientWidth || width)), 1, 5);
    const image = new ImageData(width, height);
    for (const { layer, fill, line } of layersOf(canvas)) {
      content[layer].forEach((place, n) => {
        if (place === null || state.hidden.has(n)) return;
        masks[place] ??= decodeMask(content.masks[place]);
        stain(image.data, masks[place], record.objects[n].colour, fill ? 255 * state.opacity : 0, line, thickness);
      });
    }
    overlay.getContext("2d").putImageData(image, 0, 0);
    context.drawImage(picture, 0, 0, width, height);
    context.drawImage(overlay, 0, 0);
  }
  document.body.dataset.shown = numberOf(state.frame.index);
}

// The pictures follow this program in the page: until a frame has come there is nothing.
function stored(index) {
  const element = byId(`frame-${index}`);
  const whole = element && (element.nextElementSibling || document.readyState !== "loading");
  return whole ? JSON.parse(element.textContent) : null;
}

async function load(index) {
  const content = stored(index);
  if (content === null) {
    byId("position").textContent = `${positionText(index)}, loading`;
    requestAnimationFrame(() => state.index === index && show(index));
    return;
  }
  const picture = new Image();
  picture.src = content.picture;
  await picture.decode();
  if (state.index !== index) return;
  state.frame = { index, picture, content, masks: [] };
  paint();
}

function positionText(index) {
  const [number, name] = record.frames[index];
  return `frame ${number}, ${index + 1} of ${end + 1}${name.includes(String(number)) ? "" : `, ${name}`}`;
}

let remembering = 0;

function show(index) {
  state.index = clamp(index, 0, end);
  const text = positionText(state.index);
  byId("scrubber").value = state.index;
  byId("scrubber").setAttribute("aria-valuetext", text);
  byId("position").textContent = text;
  byId("curves").style.setProperty("--at", end ? state.index / end : 0);
  fillTable();
  tellMemory();
  clearTimeout(remembering);
  remembering = setTimeout(() => history.replaceState(null, "", `#frame=${numberOf(state.index)}`), 300);
  return load(state.index);
}

function showFromAddress() {
  const number = Number(new URLSearchParams(location.hash.slice(1)).get("frame"));
  show(Math.max(indexOf(number), 0));
}

async function play(on) {
  state.playing = on;
  byId("play").textContent = on ? "Stop" : "Play";
  byId("play").setAttribute("aria-pressed", on);
  byId("position").setAttribute("aria-live", on ? "off" : "polite");
  if (on && state.index === end) show(0);
  while (state.playing && state.index < end) {
    const next = new Promise((resolve) => setTimeout(resolve, 1000 / FRAMES_PER_SECOND));
    await Promise.all([show(state.index + 1), next]);
  }
  if (on && state.playing) play(false);
}

// ---- what is said about the frame

function buildTable() {
  const titles = ["object", "source", ...measures.map((measure) => MEASURES[measure].title)];
  const cells = titles.map((title) => make("th", { scope: "col", textContent: title }));
  document.querySelector("#objects thead").append(make("tr", {}, ...cells));
  record.objects.forEach((object, n) => {
    const box = make("input", { type: "checkbox", checked: true, onchange: () => toggle(n, box.checked) });
    const chip = make("i");
    chip.style.background = css(object.colour);
    const label = make("label", { title: object.name }, box, chip, object.name);
    const row = make("tr", {}, make("th", { scope: "row" }, label), ...titles.slice(1).map(() => make("td")));
    for (const [event, focus] of [["mouseenter", n], ["focusin", n], ["mouseleave", null], ["focusout", null]]) {
      row.addEventListener(event, () => { state.focus = focus; drawCurves(); });
    }
    document.querySelector("#objects tbody").append(row);
  });
}

function toggle(n, on) {
  state.hidden[on ? "delete" : "add"](n);
  if (state.frame) paint();
  drawCurves();
}

function fillTable() {
  const rows = document.querySelectorAll("#objects tbody tr");
  record.objects.forEach((object, n) => {
    const origin = object.origin[state.index];
    const texts = [origin === null ? "–" : record.origins[origin],
      ...measures.map((measure) => written(measure, object[measure][state.index]))];
    texts.forEach((text, column) => { rows[n].cells[column + 1].textContent = text; });
  });
}

function tellMemory() {
  const groups = record.memory[state.index];
  const place = byId("memory");
  place.replaceChildren(groups.length ? "Memory read: " : "No memory was read for this frame.");
  const told = new Set();
  groups.forEach(([long, short], group) => {
    if (told.has(String([long, short]))) return;
    told.add(String([long, short]));
    if (groups.length > 1) place.append(group ? "; group " : "group ", `${group + 1}: `);
    place.append("long-term ", ...links(long), " and short-term ", ...links([short]));
  });
  drawMemory();
}

function links(indices) {
  return indices.flatMap((index, n) => {
    const number = numberOf(index);
    return [n ? ", " : "", make("a", { href: `#frame=${number}`, textContent: number })];
  });
}

// ---- jumps

// For each frame the object with the lowest value, then the lowest frames, none close to another.
function worstFrames(measure) {
  const lowest = record.frames.map((frame, index) => {
    const values = record.objects.map((object) => object[measure][index]);
    const value = Math.min(...values.filter((one) => one !== null));
    return { index, value, object: values.indexOf(value) };
  }).filter(({ index, object }) => object >= 0 && record.origins[record.objects[object].origin[index]] !== "given");
  const apart = Math.max(2, Math.round(end / 60));
  const chosen = [];
  for (const candidate of lowest.sort((a, b) => a.value - b.value || a.index - b.index)) {
    if (chosen.length === 12) break;
    if (chosen.every(({ index }) => Math.abs(index - candidate.index) >= apart)) chosen.push(candidate);
  }
  return chosen;
}

function findSwitches() {
  const found = [];
  for (let index = 1; index <= end; index++) {
    for (const { name, origin } of record.objects) {
      const [before, after] = [origin[index - 1], origin[index]];
      if (before === null || before === after || record.origins[before] === "given") continue;
      found.push({ index, text: `${name}: ${record.origins[before]} → ${record.origins[after]}` });
    }
  }
  return found;
}

function fillList(list, jumps, nothing) {
  list.replaceChildren(...jumps.map(({ index, text }) =>
    make("option", { value: index, textContent: `frame ${numberOf(index)} · ${text}` })));
  if (!jumps.length) list.append(make("option", { disabled: true, textContent: nothing }));
}

function listWorst() {
  const measure = byId("measure").value;
  const jumps = worstFrames(measure).map(({ index, value, object }) =>
    ({ index, text: `${record.objects[object].name} · ${written(measure, value)}` }));
  fillList(byId("worst"), jumps, "no frame was tracked");
}

const switches = findSwitches();

function toSwitch(direction) {
  const ahead = switches.map(({ index }) => index).filter((index) => direction * (index - state.index) > 0);
  if (ahead.length) show(direction > 0 ? ahead[0] : ahead[ahead.length - 1]);
}

function buildJumps() {
  const ranked = measures.filter((measure) => measure !== "area");
  byId("measure").append(...ranked.map((measure) =>
    make("option", { value: measure, textContent: MEASURES[measure].title })));
  byId("measure").onchange = listWorst;
  listWorst();
  byId("switches-title").textContent += ` (${switches.length})`;
  fillList(byId("switches"), switches, "there is none");
  for (const list of [byId("worst"), byId("switches")]) {
    list.onchange = list.onclick = () => list.value !== "" && show(Number(list.value));
  }
}

// ---- curves

function buildCurves() {
  const place = byId("curves");
  for (const measure of measures) place.append(strip(MEASURES[measure].title, MEASURES[measure].about, measure, 46));
  const row = clamp(Math.floor(72 / record.objects.length), 2, 12);
  place.append(strip("Source", "", "origin", row * record.objects.length), strip("Memory", "", "memory", 15));
  const keys = make("div", { className: "keys" });
  for (const [text, style] of [["HQ-SAM", "--ink"], ["VMOS or tracker", "--mid"], ["given", "--accent"], ["not seen", "--panel"]]) {
    const chip = make("i");
    chip.style.background = `var(${style})`;
    keys.append(make("span", { className: "key" }, chip, text));
  }
  keys.append(make("span", { className: "key" }, "■ long-term, ○ short-term memory"));
  place.append(keys, make("div", { id: "playhead" }));
  for (const event of ["pointerdown", "pointermove"]) place.addEventListener(event, scrubOnCurves);
}

function strip(title, about, kind, pixels) {
  const canvas = make("canvas");
  canvas.dataset.kind = kind;
  canvas.setAttribute("role", "img");
  canvas.setAttribute("aria-label", `${title} ${about} of all objects over time; the table has the values`);
  const holder = make("div", {}, canvas);
  holder.style.height = `${pixels}px`;
  return make("div", { className: "curve" }, make("div", {}, title, make("span", { textContent: about })), holder);
}

function scrubOnCurves(event) {
  if (!(event.buttons & 1)) return;
  const area = document.querySelector("#curves canvas").getBoundingClientRect();
  if (event.type === "pointerdown" && event.clientX < area.left) return;
  show(Math.round(clamp((event.clientX - area.left) / area.width, 0, 1) * end));
}

// A context in CSS pixels, and the size of the canvas in them.
function cleared(canvas) {
  const scale = window.devicePixelRatio;
  const { clientWidth: w, clientHeight: h } = canvas;
  canvas.width = w * scale;
  canvas.height = h * scale;
  const context = canvas.getContext("2d");
  context.scale(scale, scale);
  return { context, w, h };
}

const place = (index, w) => (end ? index / end : 0) * w;

function drawCurves() {
  for (const canvas of document.querySelectorAll("#curves canvas")) {
    if (canvas.dataset.kind === "origin") drawOrigins(canvas);
    else if (canvas.dataset.kind !== "memory") drawMeasure(canvas, canvas.dataset.kind);
  }
  drawMemory();
}

function drawMeasure(canvas, measure) {
  const { context, w, h } = cleared(canvas);
  const top = measure === "area" ? Math.max(1, ...record.objects.flatMap((object) => object.area)) : 1;
  const level = (value) => h - 3 - (value / top) * (h - 6);
  context.fillStyle = themed("--line");
  for (const value of [0, 0.5, 1]) context.fillRect(0, Math.round(level(value * top)), w, 1);
  context.lineJoin = "round";
  for (const object of visible()) {
    const dimmed = state.focus !== null && record.objects[state.focus] !== object;
    context.strokeStyle = css(object.colour, dimmed ? 0.2 : 1);
    context.lineWidth = dimmed ? 1 : 1.75;
    context.beginPath();
    let drawing = false;
    object[measure].forEach((value, index) => {
      if (value !== null) context[drawing ? "lineTo" : "moveTo"](place(index, w), level(value));
      drawing = value !== null;
    });
    context.stroke();
  }
}

function drawOrigins(canvas) {
  const { context, w, h } = cleared(canvas);
  const styles = { given: "--accent", VMOS: "--mid", tracker: "--mid", "HQ-SAM": "--ink" };
  const inks = record.origins.map((origin) => origin in styles && themed(styles[origin]));
  const row = h / record.objects.length;
  const step = w / (end + 1);
  record.objects.forEach((object, n) => {
    context.globalAlpha = state.hidden.has(n) ? 0.2 : 1;
    object.origin.forEach((origin, index) => {
      if (origin === null || !inks[origin]) return;
      context.fillStyle = inks[origin];
      context.fillRect(index * step, n * row + 0.5, step + 0.5, row - 1);
    });
  });
}

function drawMemory() {
  const canvas = document.querySelector('canvas[data-kind="memory"]');
  const { context, w, h } = cleared(canvas);
  context.fillStyle = context.strokeStyle = themed("--ink");
  context.lineWidth = 1.5;
  for (const [long, short] of record.memory[state.index]) {
    for (const index of long) context.fillRect(clamp(place(index, w) - 3.5, 0, w - 7), h / 2 - 3.5, 7, 7);
    context.beginPath();
    context.arc(clamp(place(short, w), 5, w - 5), h / 2, 4.5, 0, 7);
    context.stroke();
  }
}

// ---- the rest of the page

function buildPictures() {
  const layers = state.blended ? [""] : record.layers;
  byId("pictures").replaceChildren(...layers.map((layer) => {
    const canvas = make("canvas", { width, height });
    if (layer) canvas.dataset.layer = layer;
    canvas.setAttribute("role", "img");
    canvas.setAttribute("aria-label", layer ? `${LAYERS[layer].title} masks on the frame` : "all masks on the frame");
    return make("figure", {}, canvas, make("figcaption", {}, ...caption(layer)));
  }));
  if (state.frame) paint();
}

function caption(layer) {
  if (layer) return [make("b", { textContent: LAYERS[layer].title })];
  const words = { solid: "line", dashed: "dashed", contrast: "black and white line" };
  const outlines = record.layers.filter((name) => name !== "chosen");
  return [make("b", { textContent: "Chosen" }), " filled",
    ...outlines.flatMap((name) => [", ", make("b", { textContent: LAYERS[name].title }), ` ${words[LAYERS[name].line]}`])];
}

function blend(on) {
  state.blended = on;
  document.querySelector(`[name=view][value=${on ? "blended" : "side"}]`).checked = true;
  buildPictures();
}

function onKey(event) {
  const target = event.target;
  const typing = target.matches("select, input:not([type=checkbox]):not(#scrubber)");
  if (event.ctrlKey || event.metaKey || event.altKey || typing) return;
  const stride = event.shiftKey ? 10 : 1;
  const actions = {
    ArrowLeft: () => show(state.index - stride),
    ArrowRight: () => show(state.index + stride),
    Home: () => show(0),
    End: () => show(end),
    " ": () => play(!state.playing),
    "[": () => toSwitch(-1),
    "]": () => toSwitch(1),
    b: () => blend(!state.blended),
  };
  const action = actions[event.key];
  if (!action || (event.key === " " && target.matches("button, summary, input[type=checkbox]"))) return;
  event.preventDefault();
  action();
}

function buildPage() {
  document.querySelector("h1").textContent = document.title;
  byId("about").textContent = `${record.tracker}, ${record.objects.length} ` +
    `${record.objects.length === 1 ? "object" : "objects"}, ${end + 1} frames`;
  document.title += " · HQTrack";
  byId("scrubber").max = end;
  byId("scrubber").oninput = (event) => show(Number(event.target.value));
  byId("play").onclick = () => play(!state.playing);
  for (const button of document.querySelectorAll("[data-step]")) {
    const { step } = button.dataset;
    button.onclick = () => show({ first: 0, last: end }[step] ?? state.index + Number(step));
  }
  for (const radio of document.querySelectorAll("[name=view]")) {
    radio.onchange = () => blend(radio.value === "blended");
  }
  byId("opacity").oninput = (event) => {
    state.opacity = event.target.value / 100;
    if (state.frame) paint();
  };
  document.addEventListener("keydown", onKey);
  window.addEventListener("hashchange", showFromAddress);
  new ResizeObserver(drawCurves).observe(byId("curves"));
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", drawCurves);
}

buildTable();
buildJumps();
buildCurves();
buildPage();
blend(record.layers.length === 1);
showFromAddress();
