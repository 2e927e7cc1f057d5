// One radiograph on the page: its grey values on a canvas, bones and joint boxes as SVG over it, zoom and pan.

import { listen } from "./gestures.js";

const SVG = "http://www.w3.org/2000/svg";
const MIN_SIDE = 40;
const MAX_ZOOM = 40;
// Pixels that a joint's number keeps from the edge of the stage.
const EDGE = 14;
const NAMES = { baseline: "baseline", followup: "follow-up" };

export function make(tag, attributes = {}, text = "") {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
  if (text) node.textContent = text;
  return node;
}

function shape(tag, attributes) {
  const node = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
  return node;
}

// Move points apart, in place, until none is closer to another than `room`.
function moveApart(points, room) {
  for (let round = 0, moved = true; moved && round < 50; round++) {
    moved = false;
    points.forEach((first, index) => {
      for (const second of points.slice(index + 1)) {
        const [across, down] = [second[0] - first[0], second[1] - first[1]];
        const distance = Math.hypot(across, down);
        if (distance >= 0.99 * room) continue;
        const [right, below] = distance ? [across / distance, down / distance] : [0, 1];
        const half = (room - distance) / 2;
        first[0] -= half * right, first[1] -= half * below;
        second[0] += half * right, second[1] += half * below;
        moved = true;
      }
    });
  }
}

export class Stage {
  // `role` is "baseline" or "followup"; `on` has moved(stage), grey(dx, dy), picked(joint).
  constructor(role, facts, on) {
    this.facts = facts;
    this.on = on;
    const says = `${NAMES[role]} radiograph; arrow keys move it, + and − zoom, 0 shows all of it`;
    this.element = make("figure", { class: `stage ${role} busy`, tabindex: 0, "aria-label": says });
    this.caption = make("figcaption");
    this.canvas = make("canvas");
    this.svg = shape("svg", { preserveAspectRatio: "none" });
    this.letter = make("span", { class: "letter" });
    this.ruler = make("div", { class: "ruler hidden" });
    this.rulerText = make("span");
    this.ruler.append(this.rulerText);
    this.numbers = make("div", { "data-layer": "boxes" });
    this.names = make("div", { class: "names", "data-layer": "names" });
    this.element.append(this.canvas, this.svg, this.names, this.numbers, this.caption, this.letter, this.ruler);
    this.zoom = 1;
    this.left = this.top = 0;
    listen(this);
    new ResizeObserver(() => this.resize()).observe(this.element);
  }

  show(result, grey) {
    this.result = result;
    this.grey = grey;
    [this.height, this.width] = result.size;
    this.canvas.width = this.width;
    this.canvas.height = this.height;
    this.svg.setAttribute("viewBox", `0 0 ${this.width} ${this.height}`);
    this.letter.textContent = result.side_known ? result.side : `${result.side}?`;
    this.element.classList.remove("busy");
    this.label("");
    this.draw();
    if (result.field) this.lookAt(result.field);
    else this.fit();
  }

  label(visit) {
    const doubts = this.result.doubts.map((text) => make("span", { class: "warning" }, text));
    this.caption.replaceChildren(...(visit ? [make("b", {}, visit)] : []), this.result.source, ...doubts);
  }

  draw() {
    const bones = shape("g", { "data-layer": "bones" });
    this.result.paths.forEach((path, index) => {
      if (!path) return;
      const colour = `rgb(${this.facts.bones[index].colour.join(" ")})`;
      bones.append(shape("path", { class: "bone", "data-bone": index, d: path, fill: colour, stroke: colour }));
    });
    const boxes = shape("g", { "data-layer": "boxes" });
    this.result.joints.forEach(({ box }, index) => {
      if (!box) return;
      const [x, y, right, bottom] = box;
      boxes.append(shape("rect", { class: `box${this.kind(index)}`, "data-joint": index, x, y, width: right - x, height: bottom - y }));
    });
    this.labels = this.result.numbers.map(({ joint, number, tip }) => {
      const line = shape("path", { class: `leader${this.kind(joint)}`, "data-joint": joint });
      const button = make("button", { class: `number${this.kind(joint)}`, type: "button", "data-joint": joint }, String(joint + 1));
      button.title = this.facts.joints[joint].display;
      button.addEventListener("click", () => this.on.picked(joint));
      return { number, tip, line, button };
    });
    boxes.append(...this.labels.map(({ line }) => line));
    this.numbers.replaceChildren(...this.labels.map(({ button }) => button));
    this.names.replaceChildren(...this.result.names.map(({ bone, text }) => make("span", { "data-bone": bone }, text)));
    this.map = shape("image", { class: "map", preserveAspectRatio: "none" });
    this.other = shape("g", { class: "other", "data-layer": "other" });
    this.svg.replaceChildren(this.map, bones, this.other, boxes);
  }

  kind(joint) {
    return this.result.joints[joint].eroded ? " eroded" : "";
  }

  // Draw the heat map of a joint over its box, or remove it.
  showMap(joint, address) {
    if (!address) return this.map.removeAttribute("href");
    const [x, y, right, bottom] = this.result.joints[joint].box;
    for (const [name, value] of Object.entries({ x, y, width: right - x, height: bottom - y, href: address })) {
      this.map.setAttribute(name, value);
    }
  }

  // The other visit's outlines, mapped onto this radiograph by an SVG matrix.
  overlay(paths, matrix) {
    this.other.setAttribute("transform", `matrix(${matrix.join(" ")})`);
    this.other.replaceChildren(
      ...paths.map((path, index) => shape("path", { d: path, "data-bone": index })).filter((_, index) => paths[index]),
    );
  }

  // Map the 16-bit grey values through a table of 65536 bytes.
  paint(table) {
    if (!this.grey) return;
    const context = this.canvas.getContext("2d");
    const picture = context.createImageData(this.width, this.height);
    const pixels = new Uint32Array(picture.data.buffer);
    for (let i = 0; i < pixels.length; i++) pixels[i] = 0xff000000 | (table[this.grey[i]] * 0x010101);
    context.putImageData(picture, 0, 0);
  }

  get size() {
    return { across: this.element.clientWidth, down: this.element.clientHeight };
  }

  get fitting() {
    return Math.min(this.size.across / this.width, this.size.down / this.height);
  }

  fit() {
    this.view = { x: this.width / 2, y: this.height / 2, zoom: this.fitting };
  }

  // Keep the visible region when the stage is resized.
  resize() {
    const before = this.drawn;
    if (!before || !this.size.across) return;
    const { x, y } = this.view;
    this.view = { x, y, zoom: (this.zoom * this.fitting) / before.fitting };
  }

  // Zoom by a factor about a point of the stage.
  zoomAt(factor, x, y) {
    const smallest = MIN_SIDE / Math.max(this.width, this.height);
    const zoom = Math.min(Math.max(this.zoom * factor, smallest), MAX_ZOOM);
    this.left = x - ((x - this.left) * zoom) / this.zoom;
    this.top = y - ((y - this.top) * zoom) / this.zoom;
    this.zoom = zoom;
    this.place();
  }

  moveBy(right, down) {
    this.left += right;
    this.top += down;
    this.place();
  }

  // Centre the view on a box of the radiograph.
  lookAt([x0, y0, x1, y1]) {
    const zoom = Math.min((0.6 * Math.min(this.size.across, this.size.down)) / (x1 - x0), MAX_ZOOM);
    this.view = { x: (x0 + x1) / 2, y: (y0 + y1) / 2, zoom };
  }

  // The point of the radiograph in the middle of the stage, and the zoom.
  get view() {
    const { across, down } = this.drawn;
    return { x: (across / 2 - this.left) / this.zoom, y: (down / 2 - this.top) / this.zoom, zoom: this.zoom };
  }

  set view({ x, y, zoom }) {
    this.zoom = zoom;
    this.left = this.size.across / 2 - x * zoom;
    this.top = this.size.down / 2 - y * zoom;
    this.place();
  }

  place() {
    this.drawn = { ...this.size, fitting: this.fitting };
    const room = (this.labels[0]?.button.offsetWidth ?? 0) + 1;
    for (const layer of [this.canvas, this.svg]) {
      layer.style.left = `${this.left}px`;
      layer.style.top = `${this.top}px`;
      layer.style.width = `${this.width * this.zoom}px`;
      layer.style.height = `${this.height * this.zoom}px`;
    }
    this.canvas.style.imageRendering = this.zoom > 6 ? "pixelated" : "auto";
    const places = this.labels.map(({ number, tip }) => this.within(number, tip));
    moveApart(places, room / this.zoom);
    this.labels.forEach(({ tip, line, button }, index) => {
      const [x, y] = places[index];
      line.setAttribute("d", `M${x} ${y}L${tip.join(" ")}`);
      this.put(button, x, y);
    });
    this.names.classList.toggle("crowded", this.zoom < this.result.names_zoom);
    this.result.names.forEach(({ middle: [x, y] }, index) => this.put(this.names.children[index], x, y));
    const spacing = this.result.pixel_spacing_mm;
    this.ruler.classList.toggle("hidden", !spacing);
    if (spacing) {
      const length = [100, 50, 20, 10, 5, 2, 1].find((mm) => (mm / spacing) * this.zoom <= 130) ?? 1;
      this.ruler.style.width = `${(length / spacing) * this.zoom}px`;
      this.rulerText.textContent = `${length} mm`;
    }
  }

  // Move an element to a point of the radiograph.
  put(node, x, y) {
    node.style.left = `${this.left + x * this.zoom}px`;
    node.style.top = `${this.top + y * this.zoom}px`;
  }

  // The position of a number: its own, or where its line leaves the visible part of the radiograph.
  within(number, tip) {
    const { across, down } = this.size;
    const ends = [[EDGE - this.left, across - EDGE - this.left], [EDGE - this.top, down - EDGE - this.top]];
    const shares = ends.map((range, axis) => {
      const step = number[axis] - tip[axis];
      return step ? (range[step > 0 ? 1 : 0] / this.zoom - tip[axis]) / step : 1;
    });
    const share = Math.min(1, ...shares);
    return share < 0 ? [...number] : tip.map((value, axis) => value + share * (number[axis] - value));
  }
}
