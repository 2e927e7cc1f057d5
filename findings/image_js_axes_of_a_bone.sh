#!/usr/bin/env bash
# image-js 1.7.0: length and width of a bone, by the ellipse of a region (roi.ellipse).
#
# Guess: the axes are those of the ellipse with the region's second moments, as in scikit-image or ImageJ, scaled so that
#        its area is the region's: a mask that is an ellipse has its own axes, whichever way it lies.
# Seen:  a circle of diameter 80 is 113 long and 57 wide. A bone of 120 x 40 is 170 long if it stands and 89 if it lies on
#        its side, where the true 120 is never found. The length of the minor axis is taken, for one coordinate, to an
#        end of the major axis instead of its own other end, and both are then scaled until their product gives the right area:
#        area and angle are right, and the end points of the minor axis do not have the distance that is stated as its length.
#        For lengths take roi.feret, or compute the moments from roi.absolutePoints.
#
# Exits with 0 as long as that is so, with 1 once it has changed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
echo '{"private": true, "type": "module"}' > package.json
npm install --silent --no-audit --no-fund image-js@1.7.0
cat > axes.mjs <<'JAVASCRIPT'
import { readFileSync } from 'node:fs';
import { Mask, fromMask } from 'image-js';

const SIDE = 200;
const CENTRE = 100;
const distance = ([one, other]) => Math.hypot(one.column - other.column, one.row - other.row);

function bone(length, width, degrees) {
  const mask = new Mask(SIDE, SIDE);
  const [sine, cosine] = [Math.sin((degrees * Math.PI) / 180), Math.cos((degrees * Math.PI) / 180)];
  for (let row = 0; row < SIDE; row++) {
    for (let column = 0; column < SIDE; column++) {
      const along = (column - CENTRE) * cosine + (row - CENTRE) * sine;
      const across = (row - CENTRE) * cosine - (column - CENTRE) * sine;
      mask.setBit(column, row, (2 * along / length) ** 2 + (2 * across / width) ** 2 < 1);
    }
  }
  return fromMask(mask).getRois({ kind: 'white' })[0];
}

/** Full axes of the ellipse with the second moments of the region's points. */
function axesByMoments(points) {
  const mean = (values) => values.reduce((sum, value) => sum + value, 0) / values.length;
  const [x, y] = [points.map((point) => point.column), points.map((point) => point.row)];
  const [centreX, centreY] = [mean(x), mean(y)];
  const xx = mean(x.map((value) => (value - centreX) ** 2));
  const yy = mean(y.map((value) => (value - centreY) ** 2));
  const xy = mean(x.map((value, index) => (value - centreX) * (y[index] - centreY)));
  const root = Math.sqrt((xx - yy) ** 2 + 4 * xy ** 2);
  return [4 * Math.sqrt((xx + yy + root) / 2), 4 * Math.sqrt((xx + yy - root) / 2)];
}

console.log('image-js', JSON.parse(readFileSync('node_modules/image-js/package.json')).version);
let same = true;
for (const [length, width] of [[80, 80], [120, 40], [120, 60]]) {
  for (const degrees of [0, 45, 90]) {
    const roi = bone(length, width, degrees);
    const { majorAxis, minorAxis, surface } = roi.ellipse;
    const moments = axesByMoments(roi.absolutePoints);
    console.log(`bone of ${length} x ${width}, turned by ${degrees} degrees: by its moments `
      + `${moments.map((value) => value.toFixed(1)).join(' x ')}, seen ${majorAxis.length.toFixed(1)} x `
      + `${minorAxis.length.toFixed(1)}, between the end points ${distance(majorAxis.points).toFixed(1)} x `
      + `${distance(minorAxis.points).toFixed(1)}`);
    const right = Math.abs(moments[0] - length) < 1 && Math.abs(moments[1] - width) < 1;
    const wrong = Math.abs(majorAxis.length / length - 1) > 0.1 && Math.abs(minorAxis.length / width - 1) > 0.1;
    const apart = Math.abs(distance(minorAxis.points) / minorAxis.length - 1) > 0.1;
    same &&= right && wrong && apart && Math.abs(surface / roi.surface - 1) < 1e-6;
  }
}
console.log(same ? 'as described' : 'changed');
process.exit(same ? 0 : 1);
JAVASCRIPT
node axes.mjs
