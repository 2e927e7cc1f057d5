// The page: the list of radiographs, one or two stages, and their panel.

import { drawJoints, heatPicture } from "./joints.js";
import { make, Stage } from "./stage.js";
import { changeTables, scoreTables, spaceTable } from "./tables.js";

const $ = (id) => document.getElementById(id);
const LABELS = { baseline: "baseline", followup: "follow-up" };

const state = { facts: null, radiographs: [], stages: {}, keys: {}, comparison: null, joint: null, turn: 0 };

async function ask(address, options) {
  let reply;
  try {
    reply = await fetch(address, options);
  } catch {
    throw new Error("The viewer does not answer; it has ended, or the connection was cut.");
  }
  if (reply.ok) return reply;
  const { error } = await reply.json().catch(() => ({ error: `${reply.status} ${reply.statusText}` }));
  throw new Error(error);
}

function complain(text) {
  $("message").firstElementChild.textContent = text;
  $("message").classList.toggle("hidden", !text);
}

// Radiographs

function listRadiographs() {
  $("radiographs").replaceChildren(...state.radiographs.map((radiograph) => {
    const role = Object.keys(state.keys).find((name) => state.keys[name] === radiograph.key);
    const row = make("li", { class: [role, radiograph.broken && "broken"].filter(Boolean).join(" ") });
    const open = make("button", { type: "button", class: "open", title: radiograph.name }, radiograph.name);
    open.addEventListener("click", () => openRadiograph(radiograph.key));
    row.append(open);
    if (state.keys.baseline && role === undefined) {
      const second = make("button", { type: "button", class: "small compare", title: "Show as a later visit" }, "compare");
      second.addEventListener("click", () => openRadiograph(radiograph.key, "followup"));
      row.append(second);
    }
    const drop = make("button", { type: "button", class: "small remove", title: `Remove ${radiograph.name}` }, "×");
    drop.addEventListener("click", () => removeRadiograph(radiograph.key));
    row.append(drop);
    return row;
  }));
}

async function removeRadiograph(key) {
  await ask(`radiographs/${key}`, { method: "DELETE" }).catch((error) => complain(error.message));
  state.radiographs = state.radiographs.filter((radiograph) => radiograph.key !== key);
  if (state.keys.baseline === key) closeStages();
  else if (state.keys.followup === key) closeStage("followup");
  listRadiographs();
}

function closeStage(role) {
  state.stages[role]?.element.remove();
  delete state.stages[role];
  delete state.keys[role];
  state.comparison = null;
  redraw();
}

function closeStages() {
  closeStage("followup");
  closeStage("baseline");
  state.joint = null;
}

// Show a radiograph as the only one, or as the follow-up of the one that is open.
async function openRadiograph(key, role = "baseline") {
  const turn = ++state.turn;
  complain("");
  if (role === "baseline") closeStages();
  else closeStage("followup");
  const stage = new Stage(role, state.facts, { moved: follow, grey: dragGrey, picked: pickJoint });
  state.stages[role] = stage;
  state.keys[role] = key;
  $("stages").append(stage.element);
  listRadiographs();
  const radiograph = state.radiographs.find((entry) => entry.key === key);
  try {
    const result = await (await ask(`radiographs/${key}`)).json();
    const grey = new Uint16Array(await (await ask(`radiographs/${key}/pixels`)).arrayBuffer());
    if (turn !== state.turn) return;
    radiograph.broken = false;
    stage.show(result, grey);
    redraw();
    if (role === "followup") await pair();
  } catch (error) {
    if (turn !== state.turn) return;
    radiograph.broken = !stage.result;
    if (!stage.result) closeStage(role);
    complain(error.message);
  }
  redraw();
}

async function pair() {
  const { baseline, followup } = state.stages;
  baseline.label(LABELS.baseline);
  followup.label(LABELS.followup);
  const address = `comparison?baseline=${state.keys.baseline}&followup=${state.keys.followup}`;
  const comparison = await (await ask(address)).json();
  state.comparison = comparison;
  const matrix = new DOMMatrix(comparison.matrix);
  const parts = ({ a, b, c, d, e, f }) => [a, b, c, d, e, f];
  baseline.overlay(followup.result.paths, parts(matrix));
  followup.overlay(baseline.result.paths, parts(matrix.inverse()));
  fitBoth();
}

// Show both radiographs completely, at the same scale if they move together.
function fitBoth() {
  const { baseline, followup } = state.stages;
  for (const stage of openStages()) stage.fit();
  if (baseline?.result) follow(baseline);
  if (followup?.result && followup.zoom > followup.fitting) {
    followup.fit();
    follow(followup);
  }
}

async function setSide(role, side) {
  complain("");
  const stage = state.stages[role];
  stage.element.classList.add("busy");
  try {
    const result = await (await ask(`radiographs/${state.keys[role]}/side?side=${side}`, { method: "POST" })).json();
    stage.show(result, stage.grey);
    redraw();
    if (state.stages.followup) await pair();
  } catch (error) {
    stage.element.classList.remove("busy");
    state.comparison = null;
    complain(error.message);
  }
  redraw();
}

async function upload(files) {
  complain("");
  const faults = [];
  let first = null;
  for (const file of files) {
    const limit = state.facts.max_upload;
    if (file.size > limit) {
      faults.push(`${file.name}: larger than the ${limit / 2 ** 20} MB allowed; --max-upload raises the limit.`);
      continue;
    }
    try {
      const reply = await ask(`radiographs?name=${encodeURIComponent(file.name)}`, { method: "POST", body: file });
      const { key } = await reply.json();
      state.radiographs.push({ key, name: file.name });
      first ??= key;
    } catch (error) {
      faults.push(error.message);
    }
  }
  listRadiographs();
  if (first) await openRadiograph(first);
  if (faults.length) complain(faults.join(" "));
}

// Drawing

function openStages() {
  return ["baseline", "followup"].map((role) => state.stages[role]).filter((stage) => stage?.result);
}

function redraw() {
  const stages = openStages();
  const paired = stages.length === 2;
  for (const part of document.querySelectorAll(".paired")) part.classList.toggle("hidden", !paired);
  $("panel").classList.toggle("hidden", stages.length === 0);
  listRadiographs();
  if (stages.length) {
    paint();
    drawFacts();
    drawSpaces();
    for (const label of $("bones").children) {
      const { toggleBone } = label.firstElementChild.dataset;
      label.classList.toggle("absent", stages.every((stage) => !stage.result.bones[toggleBone].found));
      const limits = stages.flatMap((stage) => stage.result.bones[toggleBone].scope ?? []);
      label.classList.toggle("limited", limits.length > 0);
      label.title = [state.facts.bones[toggleBone].display, ...limits.map(({ status, reason }) => `${status}: ${reason}`)].join("\n");
    }
    for (const box of document.querySelectorAll("[data-toggle-layer], [data-toggle-bone]")) applySwitch(box);
  }
  drawChange();
}

function greyTable() {
  const width = $("width").value / 100;
  const low = $("level").value / 100 - width / 2;
  const invert = $("invert").checked;
  const table = new Uint8ClampedArray(65536);
  for (let value = 0; value < 65536; value++) {
    const shown = ((value / 65535 - low) / width) * 255;
    table[value] = invert ? 255 - shown : shown;
  }
  return table;
}

function paint() {
  const table = greyTable();
  for (const stage of openStages()) stage.paint(table);
  drawJoints($("joints"), openStages(), state.facts, $("heat").value, state.comparison !== null, pickJoint);
  light();
}

function light() {
  for (const part of document.querySelectorAll("[data-joint]")) {
    part.classList.toggle("lit", Number(part.dataset.joint) === state.joint);
  }
  const kind = $("heat").value;
  for (const stage of openStages()) {
    const map = kind !== "none" && stage.result.joints[state.joint]?.box && stage.result.maps?.[state.joint];
    stage.showMap(state.joint, map && heatPicture(map, kind).toDataURL());
  }
  $("scale").className = kind;
}

let waiting = false;
function paintSoon() {
  if (waiting) return;
  waiting = true;
  requestAnimationFrame(() => {
    waiting = false;
    if (openStages().length) paint();
  });
}

function dragGrey(right, down) {
  $("width").value = Number($("width").value) + right / 4;
  $("level").value = Number($("level").value) + down / 4;
  paintSoon();
}

function drawFacts() {
  $("facts").replaceChildren(...Object.keys(LABELS).filter((role) => state.stages[role]?.result).map((role) => {
    const { result } = state.stages[role];
    const [height, width] = result.size;
    const spacing = result.pixel_spacing_mm ? `, ${result.pixel_spacing_mm.toPrecision(3)} mm/px` : "";
    const block = make("div");
    const { file } = result.weights;
    const weights = file && file !== result.model ? `, weights ${file}` : "";
    block.append(make("p", {}, `${result.source}: ${width} × ${height} px${spacing}, ${result.model}${weights}`));
    const side = make("p", { class: "side" }, "Hand: ");
    for (const [letter, word] of [["L", "left"], ["R", "right"]]) {
      const button = make("button", { type: "button", "aria-pressed": result.side === letter && result.side_known }, word);
      button.disabled = result.side_stated;
      button.addEventListener("click", () => setSide(role, letter));
      side.append(button, " ");
    }
    if (result.side) block.append(side);
    const others = result.radiograph_notes.filter((note) => !result.doubts.includes(note));
    block.append(...others.map((note) => make("p", { class: "faint" }, note)), ...scoreTables(result));
    return block;
  }));
}

const bonesByName = () => Object.fromEntries(state.facts.bones.map((bone) => [bone.name, bone.display]));

function drawSpaces() {
  const measured = openStages().map((stage) => stage.result).filter((result) => result.joint_spaces.length);
  $("spaces").closest("section").classList.toggle("hidden", !measured.length);
  $("spaces").replaceChildren(...measured.map((result) => spaceTable(result, bonesByName())));
}

function drawChange() {
  const change = state.comparison;
  $("change").classList.toggle("hidden", !change);
  if (change) $("change").replaceChildren(...changeTables(change, bonesByName()));
}

// Pan and zoom

// Show the same part of the wrist in the other stage.
function follow(moved) {
  const { baseline, followup } = state.stages;
  if (!state.comparison || !$("linked").checked || !baseline || !followup) return;
  const toBaseline = new DOMMatrix(state.comparison.matrix);
  const scale = Math.hypot(toBaseline.a, toBaseline.b);
  const [matrix, factor, other] =
    moved === baseline ? [toBaseline.inverse(), scale, followup] : [toBaseline, 1 / scale, baseline];
  const { x, y, zoom } = moved.view;
  const there = matrix.transformPoint(new DOMPoint(x, y));
  other.view = { x: there.x, y: there.y, zoom: zoom * factor };
}

// Zoom about the middle: both stages, unless they are linked.
function zoomBoth(factor) {
  const stages = openStages();
  const moved = state.comparison && $("linked").checked ? stages.slice(0, 1) : stages;
  for (const stage of moved) stage.zoomAt(factor, stage.size.across / 2, stage.size.down / 2);
  if (moved.length) follow(moved[0]);
}

// Centre a joint; choosing it again clears the choice.
function pickJoint(index) {
  state.joint = state.joint === index ? null : index;
  light();
  if (state.joint === null) return fitBoth();
  document.querySelector(`.joint[data-joint="${index}"]`).scrollIntoView({ block: "nearest" });
  // in a narrow window the panel lies below the radiograph
  $("stages").scrollIntoView({ block: "nearest" });
  const stages = openStages().filter((stage) => stage.result.joints[index].box);
  for (const stage of stages) stage.lookAt(stage.result.joints[index].box);
  if (stages.length) follow(stages[0]);
}

// The names of all bones under the pointer; there can be several, as bones overlap.
function nameBones(event) {
  const hit = event.target.closest?.(".stage") ? document.elementsFromPoint(event.clientX, event.clientY) : [];
  const bones = hit.filter((part) => part.matches(".bone")).map((part) => state.facts.bones[part.dataset.bone].display);
  $("tip").classList.toggle("hidden", bones.length === 0);
  if (!bones.length) return;
  $("tip").textContent = [...new Set(bones)].join("\n");
  $("tip").style.left = `${Math.min(event.clientX + 14, innerWidth - 180)}px`;
  $("tip").style.top = `${event.clientY + 14}px`;
}

// Controls

function drawSwitches() {
  $("bones").replaceChildren(...state.facts.bones.map((bone, index) => {
    const label = make("label", { title: bone.display });
    const box = make("input", { type: "checkbox", "data-toggle-bone": index });
    box.checked = true;
    const colour = make("i");
    colour.style.background = `rgb(${bone.colour.join(" ")})`;
    label.append(box, " ", colour, bone.display);
    for (const [kind, lit] of [["mouseenter", true], ["mouseleave", false], ["focusin", true], ["focusout", false]]) {
      label.addEventListener(kind, () => {
        for (const part of document.querySelectorAll(`.bone[data-bone="${index}"]`)) part.classList.toggle("lit", lit);
      });
    }
    return label;
  }));
}

function listen() {
  $("all").addEventListener("change", () => {
    for (const box of document.querySelectorAll("[data-toggle-bone]")) {
      box.checked = $("all").checked;
      applySwitch(box);
    }
  });
  $("bones").addEventListener("change", () => {
    const boxes = [...document.querySelectorAll("[data-toggle-bone]")];
    $("all").checked = boxes.every((box) => box.checked);
    $("all").indeterminate = !$("all").checked && boxes.some((box) => box.checked);
  });
  for (const name of ["width", "level", "invert", "heat"]) $(name).addEventListener("input", paintSoon);
  for (const name of ["fill", "outline"]) {
    $(name).addEventListener("input", () => document.documentElement.style.setProperty(`--${name}`, $(name).value / 100));
  }
  $("grey-reset").addEventListener("click", () => {
    [$("width").value, $("level").value, $("invert").checked] = [100, 50, false];
    paintSoon();
  });
  $("fit").addEventListener("click", fitBoth);
  for (const [id, factor] of [["closer", 1.25], ["farther", 0.8]]) $(id).addEventListener("click", () => zoomBoth(factor));
  $("linked").addEventListener("change", () => follow(state.stages.baseline));
  $("message").lastElementChild.addEventListener("click", () => complain(""));
  $("files").addEventListener("change", () => {
    upload([...$("files").files]);
    $("files").value = "";
  });
  for (const kind of ["pointerdown", "pointermove"]) document.addEventListener(kind, nameBones);
  document.addEventListener("dragover", (event) => {
    event.preventDefault();
    $("over").classList.remove("hidden");
  });
  document.addEventListener("dragleave", (event) => {
    if (!event.relatedTarget) $("over").classList.add("hidden");
  });
  document.addEventListener("drop", (event) => {
    event.preventDefault();
    $("over").classList.add("hidden");
    upload([...event.dataTransfer.files]);
  });
}

async function start() {
  const facts = await (await ask("radiographs")).json();
  state.facts = facts;
  state.radiographs = facts.radiographs;
  $("notice").textContent = facts.notice;
  $("caution").textContent = facts.caution ?? "";
  drawSwitches();
  listen();
  redraw();
  if (state.radiographs.length) await openRadiograph(state.radiographs[0].key);
}

start().catch((error) => complain(error.message));
