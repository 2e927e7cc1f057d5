// One radiograph on the page: its grey values on a canvas, bones and joint boxes as SVG over it, zoom and pan.

const SVG = "http://www.w3.org/2000/svg";
const MIN_SIDE = 40;
const MAX_ZOOM = 40;

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

export class Stage {
  // `role` is "baseline" or "followup"; `on` has moved(stage), grey(dx, dy), picked(joint).
  constructor(role, facts, on) {
    this.facts = facts;
    this.on = on;
    this.element = make("figure", { class: `stage ${role} busy`, tabindex: 0, role: "group", "aria-label": `${role} radiograph` });
    this.caption = make("figcaption");
    this.canvas = make("canvas");
    this.svg = shape("svg", { preserveAspectRatio: "none" });
    this.letter = make("span", { class: "letter" });
    this.ruler = make("div", { class: "ruler hidden" });
    this.rulerText = make("span");
    this.ruler.append(this.rulerText);
    this.numbers = make("div", { "data-layer": "boxes" });
    this.element.append(this.canvas, this.svg, this.numbers, this.caption, this.letter, this.ruler);
    this.zoom = 1;
    this.left = this.top = 0;
    this.listen();
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
    this.numbers.replaceChildren();
    this.result.joints.forEach((joint, index) => {
      if (!joint.box) return;
      const [x0, y0, x1, y1] = joint.box;
      const kind = joint.eroded ? " eroded" : "";
      boxes.append(
        shape("rect", { class: `box${kind}`, "data-joint": index, x: x0, y: y0, width: x1 - x0, height: y1 - y0 }),
      );
      const number = make("button", { class: `number${kind}`, type: "button", "data-joint": index }, String(index + 1));
      number.title = this.facts.joints[index].display;
      number.addEventListener("click", () => this.on.picked(index));
      this.numbers.append(number);
    });
    this.other = shape("g", { class: "other", "data-layer": "other" });
    this.svg.replaceChildren(bones, this.other, boxes);
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
    for (const layer of [this.canvas, this.svg]) {
      layer.style.left = `${this.left}px`;
      layer.style.top = `${this.top}px`;
      layer.style.width = `${this.width * this.zoom}px`;
      layer.style.height = `${this.height * this.zoom}px`;
    }
    this.canvas.style.imageRendering = this.zoom > 6 ? "pixelated" : "auto";
    for (const number of this.numbers.children) {
      const [x, y] = this.result.joints[number.dataset.joint].box;
      number.style.left = `${this.left + Math.max(x, 0) * this.zoom}px`;
      number.style.top = `${this.top + Math.max(y, 0) * this.zoom}px`;
    }
    const spacing = this.result.pixel_spacing_mm;
    this.ruler.classList.toggle("hidden", !spacing);
    if (spacing) {
      const length = [100, 50, 20, 10, 5, 2, 1].find((mm) => (mm / spacing) * this.zoom <= 130) ?? 1;
      this.ruler.style.width = `${(length / spacing) * this.zoom}px`;
      this.rulerText.textContent = `${length} mm`;
    }
  }

  listen() {
    const stage = this.element;
    stage.addEventListener("wheel", (event) => {
      if (!this.result) return;
      event.preventDefault();
      const corner = stage.getBoundingClientRect();
      const notch = event.deltaMode === WheelEvent.DOM_DELTA_LINE ? 33 * event.deltaY : event.deltaY;
      this.zoomAt(Math.exp(-notch / 500), event.clientX - corner.left, event.clientY - corner.top);
      this.on.moved(this);
    }, { passive: false });
    stage.addEventListener("contextmenu", (event) => event.preventDefault());
    stage.addEventListener("dblclick", () => {
      this.fit();
      this.on.moved(this);
    });
    stage.addEventListener("keydown", (event) => {
      if (!this.result || event.target !== stage) return;
      const { across, down } = this.size;
      const step = { ArrowLeft: [1, 0], ArrowRight: [-1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1] }[event.key];
      if (step) {
        this.left += 0.1 * step[0] * across;
        this.top += 0.1 * step[1] * down;
        this.place();
      } else if ("+=-".includes(event.key)) this.zoomAt(event.key === "-" ? 0.8 : 1.25, across / 2, down / 2);
      else if (event.key === "0") this.fit();
      else return;
      event.preventDefault();
      this.on.moved(this);
    });
    let button = null;
    stage.addEventListener("pointerdown", (event) => {
      if (!this.result || event.target.closest("button")) return;
      button = event.button;
      stage.setPointerCapture(event.pointerId);
      stage.classList.add("moving");
    });
    stage.addEventListener("pointermove", (event) => {
      if (button === null) return;
      if (button === 2) return this.on.grey(event.movementX, event.movementY);
      this.left += event.movementX;
      this.top += event.movementY;
      this.place();
      this.on.moved(this);
    });
    for (const kind of ["pointerup", "pointercancel"]) {
      stage.addEventListener(kind, () => {
        button = null;
        stage.classList.remove("moving");
      });
    }
  }
}
