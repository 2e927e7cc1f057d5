#!/usr/bin/env bash
# image-js 1.7.0: resizing a radiograph.
#
# Guess: pixels are taken as areas, as scikit-image and Pillow do: a bone at column c lands at factor (c + 1/2) - 1/2, and a
#        film that is resized to the size that it has stays as it is.
# Seen:  with "bilinear", which is used unless another is asked for, and "bicubic", everything lies half a pixel of the
#        new film further right and down. Reduced to a quarter, a bone is 2 pixels of the original from its place, 0.3 mm
#        on a radiograph with pixels of 0.15 mm, and more with each step of a pyramid. Resized to its own size a film is
#        blurred, as each pixel becomes the mean of four. Masks, with "nearest", are right when enlarged by whole factors,
#        so that a bone's mask and its film part. The mapping adds half the factor and does not take half a pixel away.
#        Use transform() with your own matrix, which is right.
#
# Exits with 0 as long as that is so, with 1 once it has changed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
echo '{"private": true, "type": "module"}' > package.json
npm install --silent --no-audit --no-fund image-js@1.7.0
cat > resize.mjs <<'JAVASCRIPT'
import { readFileSync } from 'node:fs';
import { Image } from 'image-js';

const [WIDTH, HEIGHT] = [96, 64];
const film = new Image(WIDTH, HEIGHT, { colorModel: 'GREY', bitDepth: 16 });
for (let row = 0; row < HEIGHT; row++) {
  for (let column = 0; column < WIDTH; column++) {
    film.setValue(column, row, 0, Math.round(40000 * Math.exp(-((column - 50) ** 2 + (row - 30) ** 2) / 72)));
  }
}

/** Centre of gravity of the grey values: column and row. */
function centre(image) {
  let [sum, columns, rows] = [0, 0, 0];
  for (let row = 0; row < image.height; row++) {
    for (let column = 0; column < image.width; column++) {
      const value = image.getValue(column, row, 0);
      sum += value;
      columns += value * column;
      rows += value * row;
    }
  }
  return [columns / sum, rows / sum];
}

const text = (point) => point.map((value) => value.toFixed(2)).join(', ');
const close = (point, other) => point.every((value, axis) => Math.abs(value - other[axis]) < 0.02);
console.log('image-js', JSON.parse(readFileSync('node_modules/image-js/package.json')).version);
let same = true;
for (const factor of [4, 2, 1, 0.5, 0.25]) {
  const size = { width: WIDTH * factor, height: HEIGHT * factor };
  const expected = centre(film).map((value) => factor * (value + 0.5) - 0.5);
  const offset = (factor - 1) / 2;
  const own = film.transform([[factor, 0, offset], [0, factor, offset]], { ...size, borderType: 'replicate' });
  for (const interpolationType of ['bilinear', 'bicubic', 'nearest']) {
    const seen = centre(film.resize({ ...size, interpolationType }));
    console.log(`factor ${factor}, ${interpolationType}: bone expected at ${text(expected)}, seen at ${text(seen)}; `
      + `by transform ${text(centre(own))}`);
    if (interpolationType !== 'nearest') same &&= close(seen, expected.map((value) => value + 0.5));
    else if (factor >= 1) same &&= close(seen, expected);
  }
  same &&= close(centre(own), expected);
}
const again = film.resize({ width: WIDTH, height: HEIGHT });
let largest = 0;
for (let row = 0; row < HEIGHT; row++) {
  for (let column = 0; column < WIDTH; column++) {
    largest = Math.max(largest, Math.abs(again.getValue(column, row, 0) - film.getValue(column, row, 0)));
  }
}
console.log(`resized to its own size: largest change of a pixel expected 0, seen ${largest} of 40000`);
same &&= largest > 1000;
console.log(same ? 'as described' : 'changed');
process.exit(same ? 0 : 1);
JAVASCRIPT
node resize.mjs
