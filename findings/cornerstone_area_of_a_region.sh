#!/usr/bin/env bash
# Cornerstone's adapter gives a freehand region without a measured area its largest grey value as the area.
#
# A region that was drawn on a radiograph is saved as a structured report (TID 1500) with its statistics, and OHIF makes
# the drawing of it again. The guess was that a statistic that is not in the report stays unknown: a region that was
# saved with mean, standard deviation and maximum alone comes back without an area. It comes back with the maximum as its
# area, because the adapter uses the first number of the group, whatever its name. With an area in the report, it is right.
# Write an item "Area" into every group that has numbers, or look at the names of the numbers in the report yourself.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
echo '{"private": true, "type": "module"}' > package.json
npm install --silent --no-audit --no-fund @cornerstonejs/adapters@5.14.0 @cornerstonejs/core@5.14.0 dcmjs@0.52.0 \
	@babel/runtime@8.1.3
cat > region.mjs <<'JAVASCRIPT'
import dcmjs from 'dcmjs';
import { adaptersSR } from '@cornerstonejs/adapters';
import { metaData } from '@cornerstonejs/core';

console.info = () => {};
const { DicomMetaDictionary, DicomMessage, datasetToDict } = dcmjs.data;
const uid = () => DicomMetaDictionary.uid();
const film = {
  SOPClassUID: '1.2.840.10008.5.1.4.1.1.1', SOPInstanceUID: uid(), StudyInstanceUID: uid(), SeriesInstanceUID: uid(),
  Modality: 'CR', PatientID: 'phantom', PatientName: 'Phantom', Rows: 100, Columns: 100,
};
const modules = {
  imagePlaneModule: {
    frameOfReferenceUID: '1.2.3', rows: 100, columns: 100, rowCosines: [1, 0, 0], columnCosines: [0, 1, 0],
    imageOrientationPatient: [1, 0, 0, 0, 1, 0], imagePositionPatient: [0, 0, 0], rowPixelSpacing: 1, columnPixelSpacing: 1,
  },
  sopCommonModule: { sopInstanceUID: film.SOPInstanceUID, sopClassUID: film.SOPClassUID },
  generalSeriesModule: {},
  instance: film,
};
const provider = { get: type => modules[type] };
metaData.addProvider(type => modules[type], 1);
const { MeasurementReport } = adaptersSR.Cornerstone3D;

/** Save a region of 1,400 square pixels with some statistics as a report, and read it again. */
function throughReport(statistics) {
  const region = {
    annotationUID: uid(), findingSites: [],
    metadata: { toolName: 'PlanarFreehandROI', referencedImageId: 'film', FrameOfReferenceUID: '1.2.3' },
    data: {
      contour: { polyline: [[10, 10, 0], [40, 10, 0], [50, 30, 0], [40, 50, 0], [10, 50, 0]], closed: true },
      handles: { points: [] },
      cachedStats: { 'imageId:film': statistics },
    },
  };
  const report = MeasurementReport.generateReport({ film: { PlanarFreehandROI: { data: [region] } } }, provider, {});
  const file = datasetToDict(report.dataset).write();
  const dataset = DicomMetaDictionary.naturalizeDataset(DicomMessage.readFile(file).dict);
  const state = MeasurementReport.generateToolState(dataset, { [`${film.SOPInstanceUID}:1`]: 'film' }, provider);
  return state.PlanarFreehandROI[0].annotation.data.cachedStats['imageId:film'].area;
}

console.log('@cornerstonejs/adapters 5.14.0');
const known = throughReport({ area: 1400, mean: 120, stdDev: 30, max: 250 });
console.log(`area 1400 saved:  expected 1400, seen ${known}`);
const unknown = throughReport({ mean: 120, stdDev: 30, max: 250 });
console.log(`no area saved:    expected undefined, seen ${unknown}, which is the largest grey value`);
process.exit(known === 1400 && unknown === 250 ? 0 : 1);
JAVASCRIPT
node region.mjs
