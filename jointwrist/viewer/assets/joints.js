// The joint surfaces: crop of the radiograph, heat map of the erosion head, probability and score.

import { make } from "./stage.js";

const SIDE = 240;

// Weights from 0 to 1 of a heat map of logits: `attention` is the softmax with which the head pools its features,
// relative to its largest weight; `eroded` is the probability that a pixel is eroded.
export function weights(logits, kind) {
  if (kind === "eroded") return logits.map((value) => 1 / (1 + Math.exp(-value)));
  const top = logits.reduce((a, b) => Math.max(a, b), -Infinity);
  return logits.map((value) => Math.exp(value - top));
}

export function heatPicture(logits, kind) {
  const side = Math.round(Math.sqrt(logits.length));
  const canvas = make("canvas", { width: side, height: side });
  const context = canvas.getContext("2d");
  const picture = context.createImageData(side, side);
  weights(logits, kind).forEach((weight, index) => {
    // from red to yellow, more opaque where it is stronger
    picture.data.set([255, 60 + 180 * weight, 40 * weight, 190 * Math.sqrt(weight)], 4 * index);
  });
  context.putImageData(picture, 0, 0);
  return canvas;
}

function crop(stage, index, kind) {
  const canvas = make("canvas", { width: SIDE, height: SIDE });
  const joint = stage.result.joints[index];
  if (!joint.box) return canvas;
  const context = canvas.getContext("2d");
  const [x0, y0, x1, y1] = joint.box;
  const zoom = SIDE / (x1 - x0);
  context.imageSmoothingQuality = "high";
  context.drawImage(stage.canvas, -x0 * zoom, -y0 * zoom, stage.width * zoom, stage.height * zoom);
  if (kind !== "none" && stage.result.maps) {
    context.drawImage(heatPicture(stage.result.maps[index], kind), 0, 0, SIDE, SIDE);
  }
  return canvas;
}

// Probability and score; `between` is the element between those of two radiographs.
function said(joints, between) {
  const line = make("div", { class: "said" });
  const probability = ({ found, withheld, probability, probability_sd: spread }) =>
    found ? probability.toFixed(2) + (spread === undefined ? "" : ` ± ${spread.toFixed(2)}`)
      : withheld ? "withheld" : "not found";
  line.append(`p ${joints.map(probability).join(between)}`, ", score ");
  joints.forEach((joint, index) => {
    line.append(index ? between : "", make("b", joint.eroded ? { class: "eroded" } : {}, joint.score_label ?? "–"));
  });
  return line;
}

// Why a joint surface lies outside the scope of the weights.
function limits(joints) {
  const reasons = joints.flatMap((joint) => joint.scope ?? []).map(({ status, reason }) => `${status}: ${reason}`);
  return [...new Set(reasons)].map((text) => make("div", { class: "limit" }, text));
}

function bar(joint, threshold) {
  const line = make("div", { class: joint.eroded ? "bar eroded" : "bar" });
  if (!joint.found) return line;
  const filled = make("span");
  filled.style.width = `${100 * joint.probability}%`;
  const mark = make("em", { title: `threshold ${threshold.toFixed(2)}` });
  mark.style.left = `${100 * threshold}%`;
  line.append(filled, mark);
  return line;
}

// Fill `list` with a card for each joint surface of one or two stages; `compared` if these are visits of one wrist.
export function drawJoints(list, stages, facts, kind, compared, picked) {
  list.classList.toggle("paired-crops", stages.length === 2);
  const scored = stages.some((stage) => stage.result.joints.some((joint) => joint.found || joint.withheld));
  if (!scored) {
    list.replaceChildren(make("p", { class: "faint" }, "This model scores no joint surfaces, or none of their bones was found."));
    return;
  }
  const cards = facts.joints.map(({ display }, index) => {
    const eroded = stages.some((stage) => stage.result.joints[index].eroded);
    const card = make("div", { class: eroded ? "joint eroded" : "joint", "data-joint": index });
    const crops = make("div", { class: "crops" });
    crops.append(...stages.map((stage) => crop(stage, index, kind)));
    const title = make("button", { class: "title", type: "button" });
    title.append(make("i", {}, String(index + 1)), display);
    const text = make("div");
    text.append(title, said(stages.map((stage) => stage.result.joints[index]), compared ? " → " : " | "));
    text.append(...limits(stages.map((stage) => stage.result.joints[index])));
    for (const stage of stages) text.append(bar(stage.result.joints[index], stage.result.erosion_threshold));
    card.append(crops, text);
    card.addEventListener("click", () => picked(index));
    return card;
  });
  if (kind !== "none" && stages.some((stage) => !stage.result.maps)) {
    cards.push(make("p", { class: "faint" }, "This model has no heat maps."));
  }
  list.replaceChildren(...cards);
}
