"use strict";

// A strip per object over all frames: confidence as height, dark where the object is not seen,
// marks where a mask was given and where it is doubtful.

function buildTimeline(objects, choose) {
  const place = document.getElementById("timeline");
  place.replaceChildren(...objects.map((object) => {
    const canvas = document.createElement("canvas");
    canvas.dataset.number = object.number;
    canvas.setAttribute("role", "img");
    canvas.setAttribute("aria-label", `${object.name}: confidence over time`);
    const name = document.createElement("span");
    name.textContent = name.title = object.name;
    const row = document.createElement("div");
    row.className = "strip";
    row.append(name, canvas);
    for (const event of ["pointerdown", "pointermove"]) {
      canvas.addEventListener(event, (pointer) => {
        if (!(pointer.buttons & 1)) return;
        const box = canvas.getBoundingClientRect();
        choose((pointer.clientX - box.left) / box.width);
      });
    }
    return row;
  }));
}

function drawTimeline(objects, curves, frames, frame, stale) {
  const style = getComputedStyle(document.documentElement);
  for (const object of objects) {
    const canvas = document.querySelector(`#timeline canvas[data-number="${object.number}"]`);
    if (!canvas) continue;
    const scale = devicePixelRatio || 1;
    const [w, h] = [Math.round(canvas.clientWidth * scale), Math.round(canvas.clientHeight * scale)];
    [canvas.width, canvas.height] = [Math.max(w, 1), Math.max(h, 1)];
    const context = canvas.getContext("2d");
    const x = (number) => (number - 0.5) / frames * w;
    const curve = curves.objects[object.number];
    if (curve) drawCurve(context, object.colour, curve, frames, w, h, stale);
    context.fillStyle = style.getPropertyValue("--ink");
    for (const given of object.given) context.fillRect(x(given) - scale, 0, 2 * scale, h / 4);
    context.fillStyle = "#d55e00";
    for (const doubt of curves.doubts.filter(({ number }) => number === object.number)) {
      context.beginPath();
      context.arc(x(doubt.frame), h - 4 * scale, 3 * scale, 0, 7);
      context.fill();
    }
    context.fillStyle = style.getPropertyValue("--ink");
    context.fillRect(x(frame) - scale / 2, 0, scale, h);
  }
}

function drawCurve(context, colour, { confidence, area }, frames, w, h, stale) {
  const step = w / frames;
  confidence.forEach((value, index) => {
    if (value === null) return;
    const old = stale !== null && index + 1 >= stale;
    context.fillStyle = area[index] ? `rgba(${colour.join(",")},${old ? 0.3 : 1})` : "rgba(128,128,128,.35)";
    const top = area[index] ? h * (1 - value) : 0;
    context.fillRect(index * step, top, Math.max(step, 1), h - top);
  });
}
