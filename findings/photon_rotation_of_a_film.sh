#!/usr/bin/env bash
# photon 0.3.4 (@silvia-odwyer/photon-node): a radiograph that is turned (rotate).
#
# Guess: a quarter turn puts each pixel of the film on one of its own, and four of them give the film again; another
#        angle turns it about its centre, on a canvas as large as the turned film: 447 x 365 pixels for one of 400 x
#        300 turned by 10 degrees to either side.
# Seen:  after a quarter or half turn everything lies 2 pixels too far to the left and 1 too high: two columns and a
#        row of the film are gone, and empty ones stand on the other side. A mask that is turned by other means, or
#        a landmark, is 2.2 pixels beside its bone, 0.3 mm on a radiograph with pixels of 0.15 mm. Four quarter
#        turns leave 16 % of a film of 60 x 40 empty, and 8 % of one of 81 x 120. Other angles are 1.6 to 1.7 pixels
#        off. The canvas is that of the shears by which the film is turned: 460 x 374 for 10 degrees, and for 350,
#        the same turn to the other side, 1,497 x 1,026, nine times the pixels needed. Nothing is documented about
#        either. Move the pixels of a quarter turn yourself.
#
# Exits with 0 as long as that is so, with 1 once it has changed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
npm install --silent --no-audit --no-fund @silvia-odwyer/photon-node@0.3.4 > /dev/null
cat > turn.js <<'JAVASCRIPT'
const { PhotonImage, rotate } = require("@silvia-odwyer/photon-node");

// Film of opaque grey pixels, value(x, y) from 1 to 255.
function film(columns, rows, value) {
  const pixels = new Uint8Array(columns * rows * 4);
  for (let y = 0; y < rows; y++)
    for (let x = 0; x < columns; x++) {
      const grey = value(x, y);
      pixels.set([grey, grey, grey, 255], 4 * (y * columns + x));
    }
  return new PhotonImage(pixels, columns, rows);
}

function read(image) {
  const columns = image.get_width(), rows = image.get_height(), pixels = image.get_raw_pixels();
  return { columns, rows, grey: (x, y) => pixels[4 * (y * columns + x)] };
}

// The film turned clockwise by a multiple of 90 degrees, pixel by pixel.
function turned(image, quarters) {
  let result = read(image);
  for (let i = 0; i < quarters; i++) {
    const before = result;
    result = { columns: before.rows, rows: before.columns, grey: (x, y) => before.grey(y, before.rows - 1 - x) };
  }
  return result;
}

function empty(image) {
  let count = 0;
  for (let y = 0; y < image.rows; y++) for (let x = 0; x < image.columns; x++) count += image.grey(x, y) === 0;
  return count;
}

// Centre of the pixels brighter than half.
function centre(image) {
  let count = 0, sumX = 0, sumY = 0;
  for (let y = 0; y < image.rows; y++)
    for (let x = 0; x < image.columns; x++)
      if (image.grey(x, y) > 127) {
        count += 1;
        sumX += x;
        sumY += y;
      }
  return [sumX / count, sumY / count];
}

console.log("photon-node", require("@silvia-odwyer/photon-node/package.json").version);
let same = true;
for (const [columns, rows] of [[60, 40], [81, 120]]) {
  const image = film(columns, rows, (x, y) => 1 + ((7 * x + 13 * y + 5 * ((x * y) % 11)) % 254));
  for (const quarters of [1, 2, 3]) {
    const expected = turned(image, quarters), seen = read(rotate(image, 90 * quarters));
    let right = 0, shifted = 0;
    for (let y = 0; y < seen.rows; y++)
      for (let x = 0; x < seen.columns; x++) {
        right += seen.grey(x, y) === expected.grey(x, y);
        if (x < seen.columns - 2 && y < seen.rows - 1) shifted += seen.grey(x, y) === expected.grey(x + 2, y + 1);
      }
    const all = seen.columns * seen.rows, inner = (seen.columns - 2) * (seen.rows - 1);
    console.log(`${columns} x ${rows} turned by ${90 * quarters}: ${seen.columns} x ${seen.rows}, right ` +
      `${(100 * right / all).toFixed(1)} % of pixels, two columns and a row further on ` +
      `${(100 * shifted / inner).toFixed(1)} %; empty ${empty(seen)}, expected ${empty(expected)}`);
    same &&= seen.columns === expected.columns && seen.rows === expected.rows && right < 0.05 * all;
    same &&= shifted > 0.9 * inner && empty(seen) >= all - inner && empty(expected) === 0;
  }
  let again = image;
  for (let i = 0; i < 4; i++) again = rotate(again, 90);
  console.log(`  four times by 90: empty ${(100 * empty(read(again)) / columns / rows).toFixed(1)} %`);
  same &&= empty(read(again)) > 0.03 * columns * rows;
}

const bone = [120, 75];
for (const degrees of [0, 10, 30, 90, 180, 270, 350]) {
  const image = film(400, 300, (x, y) => (Math.hypot(x - bone[0], y - bone[1]) < 20 ? 255 : 1));
  const seen = read(rotate(image, degrees)), angle = (degrees * Math.PI) / 180;
  const cos = Math.cos(angle), sin = Math.sin(angle), x = bone[0] - 199.5, y = bone[1] - 149.5;
  const place = [(seen.columns - 1) / 2 + x * cos - y * sin, (seen.rows - 1) / 2 + x * sin + y * cos];
  const found = centre(seen), off = Math.hypot(found[0] - place[0], found[1] - place[1]);
  const needed = [400 * Math.abs(cos) + 300 * Math.abs(sin), 400 * Math.abs(sin) + 300 * Math.abs(cos)]
    .map((side) => Math.ceil(side - 1e-9));
  console.log(`400 x 300 turned by ${degrees}: canvas needed ${needed.join(" x ")}, seen ${seen.columns} x ` +
    `${seen.rows}; bone expected at ${place.map((p) => p.toFixed(1)).join(", ")}, seen at ` +
    `${found.map((p) => p.toFixed(1)).join(", ")}: ${off.toFixed(1)} pixels off`);
  same &&= degrees ? off > 1 : off < 0.01;
  if (degrees % 180 === 90 || degrees === 180) same &&= Math.abs(off - Math.sqrt(5)) < 0.01;
  if (degrees === 350) same &&= seen.columns * seen.rows > 9 * needed[0] * needed[1];
}
console.log(same ? "as described" : "changed");
process.exit(same ? 0 : 1);
JAVASCRIPT
node turn.js
