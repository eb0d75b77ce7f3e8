// Curves over time, with the sources of masks and the frames in memory.

function buildCurves() {
  const place = byId("curves");
  for (const measure of measures) place.append(strip(MEASURES[measure].title, MEASURES[measure].about, measure, 40));
  const row = clamp(Math.floor(60 / record.objects.length), 2, 12);
  place.append(strip("Source", "", "origin", row * record.objects.length), strip("Memory", "", "memory", 15));
  const keys = make("div", { className: "keys" });
  for (const [text, style] of [["HQ-SAM", "--ink"], ["VMOS or tracker", "--mid"], ["given", "--accent"], ["not seen", "--panel"]]) {
    const chip = make("i");
    chip.style.background = `var(${style})`;
    keys.append(make("span", { className: "key" }, chip, text));
  }
  keys.append(make("span", { className: "key" }, "■ long-term, ○ short-term memory"));
  place.append(make("div", { id: "playhead" }));
  place.after(keys);
  // pictures get the remaining height
  document.body.style.setProperty("--curves", `${place.offsetHeight + keys.offsetHeight}px`);
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

// A context in CSS pixels, and the canvas size in CSS pixels.
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
  const top = measure === "area" ? largestArea : 1;
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
