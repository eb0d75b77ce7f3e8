"use strict";

// The picture: the frame, masks over it, and what is being drawn. The size of masks is that of the
// video; page_masks.js, which the page of records shares, reads it here.

let width = 1, height = 1;

const drawing = { kind: null, points: [], cursor: null };

function fitPicture([rows, columns]) {
  [height, width] = [rows, columns];
  const canvas = document.getElementById("picture");
  [canvas.width, canvas.height] = [columns, rows];
  canvas.style.setProperty("--aspect", columns / rows);
}

// The pixel of the video under the pointer.
function pixelAt(event) {
  const box = document.getElementById("picture").getBoundingClientRect();
  const within = (value, most) => Math.min(Math.max(value, 0), most - 1);
  return [
    within(Math.floor((event.clientX - box.left) / box.width * width), width),
    within(Math.floor((event.clientY - box.top) / box.height * height), height),
  ];
}

const overlay = document.createElement("canvas");

// masks: [{ mask, colour, given }], clicks: [[x, y, inside]], of the chosen object.
function paintPicture(picture, masks, clicks, opacity, stale) {
  const canvas = document.getElementById("picture");
  const context = canvas.getContext("2d");
  if (picture) context.drawImage(picture, 0, 0, width, height);
  const thickness = Math.min(Math.max(Math.round(1.6 * width / (canvas.clientWidth || width)), 1), 6);
  if (masks.length) {
    const image = new ImageData(width, height);
    for (const { mask, colour, given } of masks) {
      const line = given ? "solid" : stale ? "dashed" : "solid";
      stain(image.data, decodeMask(mask), colour, 255 * opacity, line, thickness);
    }
    [overlay.width, overlay.height] = [width, height];
    overlay.getContext("2d").putImageData(image, 0, 0);
    context.drawImage(overlay, 0, 0);
  }
  for (const [x, y, inside] of clicks) mark(context, x, y, inside, 4 * thickness);
  sketch(context, thickness);
  if (drawing.cursor) crosshair(context, drawing.cursor, thickness);
}

function crosshair(context, [x, y], thickness) {
  const arm = 12 * thickness;
  for (const [colour, line] of [["#000", 3 * thickness], ["#fff", thickness]]) {
    context.strokeStyle = colour;
    context.lineWidth = line;
    context.beginPath();
    context.moveTo(x - arm, y);
    context.lineTo(x + arm, y);
    context.moveTo(x, y - arm);
    context.lineTo(x, y + arm);
    context.stroke();
  }
}

function mark(context, x, y, inside, radius) {
  context.lineWidth = radius / 2;
  context.strokeStyle = inside ? "#fff" : "#000";
  context.fillStyle = inside ? "#008a5a" : "#d55e00";
  context.beginPath();
  context.arc(x, y, radius, 0, 7);
  context.fill();
  context.stroke();
  context.beginPath();
  context.moveTo(x - radius / 2, y);
  context.lineTo(x + radius / 2, y);
  if (inside) {
    context.moveTo(x, y - radius / 2);
    context.lineTo(x, y + radius / 2);
  }
  context.strokeStyle = "#fff";
  context.stroke();
}

// What the pointer is drawing and the server does not know yet.
function sketch(context, thickness) {
  const { kind, points } = drawing;
  if (!kind || !points.length) return;
  context.lineCap = context.lineJoin = "round";
  if (kind === "box") {
    const [[x, y], [x2, y2]] = [points[0], points.at(-1)];
    context.lineWidth = 2 * thickness;
    context.setLineDash([6 * thickness, 4 * thickness]);
    context.strokeStyle = "#fff";
    context.strokeRect(x, y, x2 - x, y2 - y);
    context.setLineDash([]);
    return;
  }
  context.lineWidth = Math.max(1, 2 * drawing.radius);
  context.strokeStyle = kind === "eraser" ? "rgba(0,0,0,.6)" : "rgba(255,255,255,.7)";
  context.beginPath();
  context.moveTo(...points[0]);
  for (const point of points) context.lineTo(...point);
  context.stroke();
}
