#!/usr/bin/env bash
# geotiff.js 3.0.5 and UTIF.js 3.1.0: films stored as TIFF with the smallest value white, as pictures for a browser.
#
# Films are digitised so (PhotometricInterpretation 0, WhiteIsZero). The value 0 is what lets no ray through: the
# letter R or L, rings, plates and screws, and the border that the collimator left unexposed.
#
# Guess: readRGB of geotiff.js and toRGBA8 of UTIF.js invert the values, as they both know the tag, so that 0 is white
#        (255) and the largest value black, in files of 8 and of 16 bits; what is not supported is refused.
# Seen:  geotiff.js makes the white black. The value is computed as 256 minus a part of 256 and kept in 8 bits, where
#        256 is 0: a letter or screw of value 0 is as black as the air around the hand, right beside bone of value 1,
#        which is 255. All other values are right to one step, and files with the largest value white are right
#        throughout. UTIF.js inverts files of 8 bits; of 16 bits it returns a picture that is black and transparent
#        everywhere, without an error, while files with the largest value white are shown. The package tiff 7.1.3 is
#        right in all four. Read the values themselves (readRasters) and invert them yourself.
#
# Exits with 0 as long as that is so, with 1 once it has changed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
npm install --silent --no-audit --no-fund geotiff@3.0.5 utif@3.1.0 tiff@7.1.3 > /dev/null
cat > films.mjs <<'JAVASCRIPT'
import { createRequire } from "module";
import fs from "fs";
import { fromArrayBuffer } from "geotiff";
import { decode } from "tiff";

const UTIF = createRequire(import.meta.url)("utif");

// A film of one row with the values 0 to 255, times 257 with 16 bits, uncompressed and little-endian.
function film(bits, photometric) {
  const values = Array.from({ length: 256 }, (_, i) => (bits === 16 ? 257 * i : i));
  const pixels = bits === 16 ? Uint16Array.from(values) : Uint8Array.from(values);
  const tags = [[256, 256], [257, 1], [258, bits], [259, 1], [262, photometric], [273, 0], [277, 1], [278, 1],
    [279, pixels.byteLength]];
  const start = 8 + 2 + 12 * tags.length + 4;
  tags[5][1] = start;
  const view = new DataView(new ArrayBuffer(start + pixels.byteLength));
  view.setUint16(0, 0x4949);
  view.setUint16(2, 42, true);
  view.setUint32(4, 8, true);
  view.setUint16(8, tags.length, true);
  tags.forEach(([tag, value], i) => {
    view.setUint16(10 + 12 * i, tag, true);
    view.setUint16(12 + 12 * i, 3, true);
    view.setUint32(14 + 12 * i, 1, true);
    view.setUint16(18 + 12 * i, value, true);
  });
  new Uint8Array(view.buffer, start).set(new Uint8Array(pixels.buffer));
  return view.buffer;
}

const version = (name) => JSON.parse(fs.readFileSync(`node_modules/${name}/package.json`)).version;
console.log(["geotiff", "utif", "tiff"].map((name) => `${name} ${version(name)}`).join(", "));
const shown = [0, 1, 2, 128, 254, 255];
const pick = (grey) => shown.map((i) => grey[i]).join(" ");
const worst = (grey, expected, from) => Math.max(...grey.slice(from).map((g, i) => Math.abs(g - expected[i + from])));
let same = true;
for (const bits of [8, 16]) {
  for (const photometric of [1, 0]) {
    const buffer = film(bits, photometric);
    const expected = Array.from({ length: 256 }, (_, i) => (photometric === 0 ? 255 - i : i));
    const rgb = await (await (await fromArrayBuffer(buffer)).getImage()).readRGB({ interleave: true });
    const geotiff = Array.from({ length: 256 }, (_, i) => rgb[3 * i]);
    const directory = UTIF.decode(buffer)[0];
    UTIF.decodeImage(buffer, directory);
    const rgba = UTIF.toRGBA8(directory);
    const utif = Array.from({ length: 256 }, (_, i) => rgba[4 * i]);
    const tiff = Array.from(decode(buffer)[0].data, (v) => (bits === 16 ? v / 257 : v));
    console.log(`${bits} bits, ${photometric === 0 ? "smallest" : "largest"} value white; pixels ${shown.join(" ")}`);
    console.log(`  expected ${pick(expected)}\n  geotiff  ${pick(geotiff)}\n  utif     ${pick(utif)} (opacity of the `
      + `first ${rgba[3]})\n  tiff     ${pick(tiff)}`);
    same &&= worst(tiff, expected, 0) === 0 && worst(geotiff, expected, 1) <= 1;
    same &&= geotiff[0] === 0 && (photometric === 1 || geotiff[1] >= 254);
    const lost = photometric === 0 && bits === 16;
    same &&= lost ? rgba.every((value) => value === 0) : worst(utif, expected, 0) === 0;
  }
}
console.log(same ? "as described" : "changed");
process.exit(same ? 0 : 1);
JAVASCRIPT
node films.mjs
