// Reads the outputs with dcmjs and with Cornerstone's adapters, which OHIF uses: `node probes.mjs FOLDER` prints a line
// of JSON per output and tool. The radiograph has no orientation; as OHIF does, axes along its rows and columns stand in.
import fs from 'fs';
import path from 'path';
import dcmjs from 'dcmjs';
import { adaptersSEG, adaptersSR } from '@cornerstonejs/adapters';
import { metaData } from '@cornerstonejs/core';

const folder = process.argv[2];
const version = name => JSON.parse(fs.readFileSync(path.join(import.meta.dirname, 'node_modules', name, 'package.json'))).version;
const dcmjsVersion = version('dcmjs');
const adaptersVersion = version('@cornerstonejs/adapters');
const bytes = name => {
  const file = fs.readFileSync(path.join(folder, name));
  return file.buffer.slice(file.byteOffset, file.byteOffset + file.byteLength);
};
const dataset = name => dcmjs.data.DicomMetaDictionary.naturalizeDataset(dcmjs.data.DicomMessage.readFile(bytes(name)).dict);
const list = value => (value === undefined ? [] : Array.isArray(value) ? value : [value]);
const box = data => {
  const x = data.filter((_, i) => i % 2 === 0), y = data.filter((_, i) => i % 2 === 1);
  return [Math.min(...x), Math.min(...y), Math.max(...x), Math.max(...y)];
};
const warnings = [];
console.warn = (...parts) => warnings.push(parts.map(String).join(' '));
console.log = () => {};

async function measure(output, tool, toolVersion, read) {
  let line = { output, tool, version: toolVersion, opens: 'yes', note: '' };
  try {
    line = { ...line, ...(await read(output)) };
  } catch (error) {
    line = { ...line, opens: 'no', note: String(error.message).split('\n').at(-1).slice(0, 140) };
  }
  process.stdout.write(JSON.stringify(line) + '\n');
}

await measure('seg.dcm', 'dcmjs', dcmjsVersion, name => {
  const masks = path.join(folder, 'dcmjs.raw');
  fs.writeFileSync(masks, Buffer.from(dcmjs.data.BitArray.unpack(list(dataset(name).PixelData)[0])));
  return { masks, note: 'bits by BitArray.unpack' };
});
await measure('sr.dcm', 'dcmjs', dcmjsVersion, name => {
  const named = (items, meaning) => list(items).filter(item => list(item.ConceptNameCodeSequence)[0]?.CodeMeaning === meaning);
  const groups = named(named(dataset(name).ContentSequence, 'Imaging Measurements')[0].ContentSequence, 'Measurement Group');
  const regions = groups.flatMap(group => list(group.ContentSequence).filter(item => item.ValueType === 'SCOORD'));
  return { boxes: regions.map(item => box(item.GraphicData)), note: 'boxes' };
});
await measure('pr.dcm', 'dcmjs', dcmjsVersion, name => {
  const joints = list(dataset(name).GraphicAnnotationSequence).filter(item => /ERODED|HEALTHY/.test(item.GraphicLayer));
  const boxes = joints.flatMap(item => list(item.GraphicObjectSequence).map(object => box(object.GraphicData)));
  return { boxes: boxes.sort((a, b) => a[0] - b[0]), note: 'boxes; it draws nothing itself' };
});
await measure('sc.dcm', 'dcmjs', dcmjsVersion, name => {
  const pixels = Buffer.from(list(dataset(name).PixelData)[0]);
  const overlay = fs.readFileSync(path.join(folder, 'overlay.npy')).subarray(-pixels.length);
  return { content: pixels.equals(overlay) ? 'yes' : 'no' };
});

const radiograph = dataset('radiograph.dcm');
const modules = {
  imagePlaneModule: {
    frameOfReferenceUID: '1.2.3', rows: radiograph.Rows, columns: radiograph.Columns, rowCosines: [1, 0, 0],
    columnCosines: [0, 1, 0], imageOrientationPatient: [1, 0, 0, 0, 1, 0], imagePositionPatient: [0, 0, 0],
    rowPixelSpacing: 1, columnPixelSpacing: 1, usingDefaultValues: true,
  },
  sopCommonModule: { sopInstanceUID: radiograph.SOPInstanceUID, sopClassUID: radiograph.SOPClassUID },
  generalSeriesModule: { seriesInstanceUID: radiograph.SeriesInstanceUID },
  imagePixelModule: { rows: radiograph.Rows, columns: radiograph.Columns, bitsAllocated: 16 },
  instance: radiograph,
};
const provider = { get: type => modules[type] };
metaData.addProvider(type => modules[type], 1);
const cornerstone = 'Cornerstone adapters (OHIF)';
await measure('seg.dcm', cornerstone, adaptersVersion, async name => {
  await adaptersSEG.Cornerstone3D.Segmentation.createFromDICOMSegBuffer(['image'], bytes(name), { metadataProvider: provider });
  return {};
});
await measure('sr.dcm', cornerstone, adaptersVersion, name => {
  const images = { [`${radiograph.SOPInstanceUID}:1`]: 'image' };
  const state = adaptersSR.Cornerstone3D.MeasurementReport.generateToolState(dataset(name), images, provider);
  const tools = Object.entries(state).flatMap(([tool, found]) => found.map(() => tool));
  if (!tools.length) throw new Error(`no tools; ${warnings.at(-1)?.slice(0, 100)}`);
  // in the world of the image, the centre of the first pixel is 0
  const corners = Object.values(state).flat().map(({ annotation }) => annotation.data.handles.points);
  const boxes = corners.map(points => box(points.flatMap(([x, y]) => [x + 0.5, y + 0.5])));
  return { boxes, note: `${tools.length} tools: ${[...new Set(tools)].join(', ')}` };
});
