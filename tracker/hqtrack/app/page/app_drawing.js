"use strict";

// Drawing on the picture with the chosen tool, by a pointer or by the keyboard.

async function draw(kind, points, radius) {
  if (view.chosen === null && !await change("add")) return;
  const target = { number: view.chosen, frame: view.frame };
  if (kind === "box") {
    const [xs, ys] = [points.map(([x]) => x), points.map(([, y]) => y)];
    const sides = { left: Math.min(...xs), top: Math.min(...ys), right: Math.max(...xs), bottom: Math.max(...ys) };
    if (sides.right - sides.left < 2 || sides.bottom - sides.top < 2) return say("draw the box from corner to corner");
    await change("box", { ...target, ...sides });
  } else if (kind === "click" || kind === "unclick") {
    const [x, y] = points[0];
    await change("click", { ...target, x, y, inside: kind === "click" });
  } else {
    await change("stroke", { ...target, points, radius, erase: kind === "eraser" });
  }
}

function onPointer() {
  const canvas = byId("picture");
  canvas.onpointerdown = (event) => {
    if (event.button || !state || state.job) return;
    canvas.setPointerCapture(event.pointerId);
    // the ends of a box only, all points of a brush
    Object.assign(drawing, { kind: view.tool, points: [pixelAt(event)], radius: brushRadius() });
    paint();
  };
  canvas.onpointermove = (event) => {
    if (!drawing.kind) return;
    if (drawing.kind === "box") drawing.points = [drawing.points[0], pixelAt(event)];
    else if (drawing.kind === "brush" || drawing.kind === "eraser") drawing.points.push(pixelAt(event));
    paint();
  };
  canvas.onpointerup = async () => {
    const { kind, points, radius } = drawing;
    if (!kind) return;
    drawing.kind = null;
    await draw(kind, points, radius);
    paint();
  };
  canvas.onpointercancel = () => { drawing.kind = null; paint(); };
}

const brushRadius = () => Number(byId("radius").value) * Math.max(width, height) / 1000;

// The keyboard: Enter begins to point, arrows move, Enter draws, Escape ends. A box takes two corners.

function pointKey(event) {
  if (event.target !== byId("picture") || event.ctrlKey || event.metaKey || event.altKey) return false;
  if (!drawing.cursor) {
    if (event.key !== "Enter" || !state) return false;
    drawing.cursor = [Math.floor(width / 2), Math.floor(height / 2)];
    return pointed("arrow keys move, Enter draws, Escape ends");
  }
  const stride = event.shiftKey ? 1 : Math.max(1, Math.round(width / 50));
  const move = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[event.key];
  const [x, y] = drawing.cursor;
  if (move) {
    const within = (value, most) => Math.min(Math.max(value, 0), most - 1);
    drawing.cursor = [within(x + stride * move[0], width), within(y + stride * move[1], height)];
    if (drawing.kind === "box") drawing.points = [drawing.points[0], drawing.cursor];
    return pointed("");
  }
  if (event.key === "Escape") {
    Object.assign(drawing, { cursor: null, kind: null });
    return pointed("not pointing any more");
  }
  if (event.key !== "Enter") return false;
  if (state.job) return pointed("stop the tracking first");
  if (view.tool === "box" && drawing.kind !== "box") {
    Object.assign(drawing, { kind: "box", points: [drawing.cursor] });
    return pointed("first corner; Enter again at the other");
  }
  const points = drawing.kind === "box" ? [drawing.points[0], drawing.cursor] : [drawing.cursor];
  drawing.kind = null;
  draw(view.tool, points, brushRadius()).then(paint);
  return pointed(`${view.tool} drawn`);
}

function pointed(what) {
  const place = drawing.cursor ? `x ${drawing.cursor[0]}, y ${drawing.cursor[1]}` : "";
  byId("pointed").textContent = [place, what].filter(Boolean).join(": ");
  paint();
  return true;
}
