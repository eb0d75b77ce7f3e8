"use strict";

// Masks: converts run lengths to pixels of a picture.

// Decodes run lengths in COCO's text format: six bits per character; from the fourth run on, a run
// is stored relative to the last but one.
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

// The pixels column by column, and the first and last column with pixels.
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
