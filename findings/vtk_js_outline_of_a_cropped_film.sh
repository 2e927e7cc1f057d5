#!/usr/bin/env bash
# vtk.js 37.4.3: outline of a bone (ImageMarchingSquares) in a mask that was cropped to it (ImageCropFilter).
#
# Large films are cropped to the wrist, or to one bone, before outlines are computed and drawn over the film.
#
# Guess: the outline of the crop lies where that of the whole mask does: the crop keeps its place, as its bounds say.
# Seen:  its place is lost: the outline is moved by the corner of the crop, here by 25 columns of 0.2 mm and 15 rows of
#        0.1 mm. A bone of 4 x 2 mm from 10.9 mm on is drawn from 5.9 mm on, beside the crop. Its size is right, and so
#        is the value that the cropped mask gives for a place in mm. The cropping filter keeps the origin and gives the
#        extent a first index other than 0; ImageMarchingSquares counts from 0. Slices are counted from 0 too, and a
#        number that is too large means the first: of a stack cropped to slices 2 and 3, setSlice(3) outlines slice 2.
#        ImageMarchingCubes takes the extent into account: its surface of the same crop lies on the bone. Nothing warns.
#        Add the corner of the extent yourself, or move the origin there and let the extent begin at 0.
#
# Exits with 0 as long as that is so, with 1 once it has changed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
echo '{"private": true, "type": "module"}' > package.json
npm install --silent --no-audit --no-fund --ignore-scripts @kitware/vtk.js@37.4.3
cat > outline.mjs <<'JAVASCRIPT'
import { readFileSync } from 'node:fs';
import DataArray from '@kitware/vtk.js/Common/Core/DataArray.js';
import ImageData from '@kitware/vtk.js/Common/DataModel/ImageData.js';
import ImageCropFilter from '@kitware/vtk.js/Filters/General/ImageCropFilter.js';
import ImageMarchingCubes from '@kitware/vtk.js/Filters/General/ImageMarchingCubes.js';
import ImageMarchingSquares from '@kitware/vtk.js/Filters/General/ImageMarchingSquares.js';

console.time = () => {};
console.timeEnd = () => {};
const [WIDTH, HEIGHT, SLICES] = [80, 60, 4];
const SPACING = [0.2, 0.1, 1];
const ORIGIN = [5, 7, 0];
const CROP = [25, 55, 15, 45];

/** A mask of a bone of 20 x 20 pixels from column 30, row 20; its width grows by a pixel a slice. */
function mask() {
  const values = new Uint8Array(WIDTH * HEIGHT * SLICES);
  for (let slice = 0; slice < SLICES; slice++) {
    for (let row = 20; row < 40; row++) {
      values.fill(1, (slice * HEIGHT + row) * WIDTH + 30, (slice * HEIGHT + row) * WIDTH + 50 + slice);
    }
  }
  const image = ImageData.newInstance();
  image.setDimensions(WIDTH, HEIGHT, SLICES);
  image.setSpacing(...SPACING);
  image.setOrigin(...ORIGIN);
  image.getPointData().setScalars(DataArray.newInstance({ name: 'mask', numberOfComponents: 1, values }));
  return image;
}

function run(filter, image) {
  filter.setInputData(image);
  filter.update();
  return filter.getOutputData();
}

function crop(image, first, last) {
  const filter = ImageCropFilter.newInstance();
  filter.setCroppingPlanes(...CROP, first, last);
  return run(filter, image);
}

/** Left, right, top and bottom of the outline, in mm. */
function outline(image, slice) {
  const filter = ImageMarchingSquares.newInstance({ contourValues: [0.5], slice });
  const result = run(filter, image);
  return [...result.getBounds()].slice(0, 4);
}

const rounded = (values) => values.map((value) => value.toFixed(2)).join(', ');
const close = (ours, theirs) => ours.every((value, index) => Math.abs(value - theirs[index]) < 1e-4);

console.log('vtk.js', JSON.parse(readFileSync('node_modules/@kitware/vtk.js/package.json')).version);
const whole = mask();
const cropped = crop(whole, 0, SLICES - 1);
const expected = outline(whole, 0);
const seen = outline(cropped, 0);
const corner = [CROP[0] * SPACING[0], CROP[2] * SPACING[1]];
console.log(`crop: extent ${cropped.getExtent()}, origin ${cropped.getOrigin()}, bounds `
  + `${rounded(cropped.getBounds())}`);
console.log(`outline in mm (left, right, top, bottom): of the whole mask ${rounded(expected)}; of the crop `
  + `${rounded(seen)}`);
let same = close(expected, [10.9, 14.9, 8.95, 10.95]);
same &&= close(seen, expected.map((value, index) => value - corner[index >> 1]));
same &&= seen[0] < cropped.getBounds()[0] - 1;

const inside = [ORIGIN[0] + 40 * SPACING[0], ORIGIN[1] + 30 * SPACING[1], 0];
console.log(`mask at ${rounded(inside)} mm: whole ${whole.getScalarValueFromWorld(inside)}, crop `
  + `${cropped.getScalarValueFromWorld(inside)}`);
same &&= whole.getScalarValueFromWorld(inside) === 1 && cropped.getScalarValueFromWorld(inside) === 1;

const surfaces = [whole, cropped].map((image) => {
  const filter = ImageMarchingCubes.newInstance({ contourValue: 0.5 });
  return [...run(filter, image).getBounds()].slice(0, 4);
});
console.log(`surface by ImageMarchingCubes: of the whole mask ${rounded(surfaces[0])}; of the crop `
  + `${rounded(surfaces[1])}`);
same &&= close(...surfaces);

const part = crop(whole, 2, 3);
const widths = [0, 1, 2, 3].map((slice) => {
  const [left, right] = outline(part, slice);
  return Math.round((right - left) / SPACING[0]);
});
console.log('width of the bone in slices 2 and 3: 22 and 23; setSlice(0 to 3) of the crop to them: '
  + widths.join(', '));
same &&= widths.join() === '22,23,22,22';
console.log(same ? 'as described' : 'changed');
process.exit(same ? 0 : 1);
JAVASCRIPT
node outline.mjs
