// Zoom, pan, window and level of a stage by mouse, touch and keyboard.

const KEYS = { ArrowLeft: [1, 0], ArrowRight: [-1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1] };

function byWheel(stage, event) {
  event.preventDefault();
  const corner = stage.element.getBoundingClientRect();
  const notch = event.deltaMode === WheelEvent.DOM_DELTA_LINE ? 33 * event.deltaY : event.deltaY;
  stage.zoomAt(Math.exp(-notch / 500), event.clientX - corner.left, event.clientY - corner.top);
  stage.on.moved(stage);
}

function byKey(stage, event) {
  const { across, down } = stage.size;
  const step = KEYS[event.key];
  if (step) stage.moveBy(0.1 * step[0] * across, 0.1 * step[1] * down);
  else if ("+=-".includes(event.key)) stage.zoomAt(event.key === "-" ? 0.8 : 1.25, across / 2, down / 2);
  else if (event.key === "0") stage.fit();
  else return;
  event.preventDefault();
  stage.on.moved(stage);
}

// The middle of one or two pointers, and how far they are apart.
function grip(pointers) {
  const [a, b = a] = pointers.values();
  return { x: (a.x + b.x) / 2, y: (a.y + b.y) / 2, apart: Math.hypot(a.x - b.x, a.y - b.y) };
}

export function listen(stage) {
  const { element } = stage;
  element.addEventListener("wheel", (event) => stage.result && byWheel(stage, event), { passive: false });
  element.addEventListener("contextmenu", (event) => event.preventDefault());
  element.addEventListener("dblclick", () => {
    stage.fit();
    stage.on.moved(stage);
  });
  element.addEventListener("keydown", (event) => stage.result && event.target === element && byKey(stage, event));

  const pointers = new Map();
  let button = null;
  element.addEventListener("pointerdown", (event) => {
    if (!stage.result || event.target.closest("button")) return;
    button = event.button;
    pointers.set(event.pointerId, { x: event.clientX, y: event.clientY });
    element.setPointerCapture(event.pointerId);
    element.classList.add("moving");
  });
  element.addEventListener("pointermove", (event) => {
    if (!pointers.has(event.pointerId)) return;
    const before = grip(pointers);
    pointers.set(event.pointerId, { x: event.clientX, y: event.clientY });
    const after = grip(pointers);
    if (button === 2) return stage.on.grey(after.x - before.x, after.y - before.y);
    stage.moveBy(after.x - before.x, after.y - before.y);
    if (before.apart && after.apart) {
      const corner = element.getBoundingClientRect();
      stage.zoomAt(after.apart / before.apart, after.x - corner.left, after.y - corner.top);
    }
    stage.on.moved(stage);
  });
  for (const kind of ["pointerup", "pointercancel"]) {
    element.addEventListener(kind, (event) => {
      pointers.delete(event.pointerId);
      element.classList.toggle("moving", pointers.size > 0);
    });
  }
}
