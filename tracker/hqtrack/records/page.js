// State: the visible frame and how it is shown. The end of this file builds the page once.

const byId = (id) => document.getElementById(id);
const record = JSON.parse(byId("record").textContent);
const [height, width] = record.size;
const end = record.frames.length - 1;
const largestArea = record.objects.reduce((most, object) => Math.max(most, ...object.area), 1);

const LAYERS = {
  coarse: { title: "VMOS", line: "solid" },
  refined: { title: "HQ-SAM", line: "dashed" },
  chosen: { title: "Chosen", line: "" },
  truth: { title: "Ground truth", line: "contrast" },
};
const MEASURES = {
  region: { title: "J", about: "vs truth" },
  boundary: { title: "F", about: "vs truth" },
  iou: { title: "IoU", about: "VMOS, HQ-SAM" },
  confidence: { title: "Confidence", about: "0 to 1" },
  area: { title: "Area", about: `to ${largestArea.toLocaleString("en")} px` },
};
const FRAMES_PER_SECOND = 12;

const measures = Object.keys(MEASURES).filter((measure) =>
  record.objects.some((object) => object[measure].some((value) => value !== null)));
const state = { index: 0, frame: null, blended: false, opacity: 0.5, hidden: new Set(), focus: null, playing: false };

// ---- helpers

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

// The pictures follow this program in the page. Until a frame has loaded, this returns null.
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
  const file = name.includes(String(number)) ? "" : `, ${name}`;
  const count = number === index + 1 ? `of ${end + 1}` : `(${index + 1} of ${end + 1})`;
  return `frame ${number} ${count}${file}`;
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

// ---- texts about the frame

function buildTable() {
  const titles = ["object", "source", ...measures.map((measure) => MEASURES[measure].title)];
  const cells = titles.map((title) =>
    make("th", { scope: "col", textContent: title === "Confidence" ? "Conf." : title, title }));
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
  place.replaceChildren(groups.length ? "Memory read: " : "The tracker read no memory for this frame.");
  const different = new Map(groups.map((group, n) => [String(group), n]));
  [...different.values()].forEach((n, position) => {
    const [long, short] = groups[n];
    if (different.size > 1) place.append(position ? "; " : "", `group ${n + 1}: `);
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

// The object with the lowest value of each frame, then the lowest frames that are far apart.
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
  fillList(byId("switches"), switches, "none");
  for (const list of [byId("worst"), byId("switches")]) {
    list.onchange = list.onclick = () => list.value !== "" && show(Number(list.value));
  }
}

// ---- the rest of the page

function buildPictures() {
  const layers = state.blended ? [""] : record.layers;
  byId("pictures").dataset.count = layers.length;
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
