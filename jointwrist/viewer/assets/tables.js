// Tables of the panel and of the comparison.

import { make } from "./stage.js";

const OVERLAP = "negative: how deep the bones overlap";

export const figure = (value, digits) => value?.toFixed(digits).replace("-", "−") ?? "–";
const signed = (value, digits) => (value > 0 ? "+" : "") + figure(value, digits);

export function table(caption, heads, rows) {
  const titled = make("div", { class: "titled" });
  const scroll = make("div", { class: "scroll", tabindex: 0, role: "region", "aria-label": caption });
  const node = make("table", { "aria-label": caption });
  const head = node.createTHead().insertRow();
  head.append(...heads.map((text) => make("th", { scope: "col" }, text)));
  const body = node.createTBody();
  for (const cells of rows) {
    body.insertRow().append(...cells.map((cell) => (cell instanceof Node ? cell : make("td", {}, cell))));
  }
  scroll.append(node);
  titled.append(make("p", {}, caption), scroll);
  return titled;
}

const between = (row, display) => row.between.map((name) => display[name]).join(" – ");

// The joint spaces of one radiograph.
export function spaceTable(result, display) {
  const unit = result.joint_spaces[0].unit;
  const rows = result.joint_spaces.map((row) => [
    between(row, display), figure(row.minimum, 2), figure(row.mean, 2), figure(row.overlap, 1),
  ]);
  return table(`${result.source}, width in ${unit} (${OVERLAP})`, ["between", "narrowest", "mean", `overlap ${unit}²`], rows);
}

// Scores other than erosion, where the network gives them, folded away.
export function scoreTables(result) {
  return Object.entries(result.scores ?? {}).map(([name, joints]) => {
    const node = make("details");
    const rows = joints.map((row) => [row.name, row.score_label ?? "–", figure(row.probability, 2)]);
    node.append(make("summary", {}, `Score: ${name}`), table(`Score: ${name}`, ["joint", "score", "p above 0"], rows));
    return node;
  });
}

function levels(step) {
  if (step === null) return "–";
  return step === 0 ? "same" : `${step > 0 ? "+" : "−"}${Math.abs(step)} level${Math.abs(step) > 1 ? "s" : ""}`;
}

function erosionTable(change, display) {
  const rows = change.joints.map((row) => {
    const step = row.level_change ?? null;
    return [
      display[row.name], row.baseline_score ?? "–", row.followup_score ?? "–",
      make("td", { class: step > 0 ? "worse" : step < 0 ? "better" : "" }, levels(step)),
      figure(row.baseline_probability, 2), figure(row.followup_probability, 2),
    ];
  });
  return table("Erosion", ["joint surface", "score", "follow-up", "change", "p", "follow-up"], rows);
}

// What changed, in a sentence.
function summary(change, display) {
  const changed = change.joints.filter((row) => row.level_change);
  const said = changed.map((row) => `${display[row.name]} ${row.baseline_score} → ${row.followup_score}`);
  const p = make("p", { class: "summary" });
  p.append(make("b", {}, "Erosion from baseline to follow-up: "), said.join(", ") || "no score changed", ".");
  return p;
}

// The comparison of two visits; `display` has the names of bones as users read them.
export function changeTables(change, display) {
  const bones = change.bone_areas.map((row) => [
    display[row.name], figure(row.baseline, 0), figure(row.followup, 0),
    row.change_percent === null ? "–" : `${signed(row.change_percent, 1)} %`,
  ]);
  const spaces = change.joint_spaces.map((row) => [
    between(row, display),
    figure(row.baseline_minimum, 2), figure(row.followup_minimum, 2), signed(row.minimum_change, 2), signed(row.mean_change, 2),
    row.displacement === null ? "–" : `${signed(row.displacement, 2)} ± ${figure(row.displacement_error, 2)}`,
  ]);
  const { residual_px, residual_points, outline_points } = change.registration;
  const fit = `The registered outlines differ by ${residual_px.toFixed(2)} px (median over the ${residual_points} of ${outline_points} points that lie on the baseline).`;
  const [left, right] = [make("div"), make("div")];
  left.append(
    erosionTable(change, display),
    table(
      `Joint space, width in ${change.unit} (${OVERLAP})`,
      ["between", "narrowest", "follow-up", "change", "change of mean", "bones moved"],
      spaces,
    ),
  );
  right.append(
    table(`Bone area, ${change.unit}²`, ["bone", "area", "follow-up", "change"], bones),
    make("p", { class: "faint" }, [fit, ...change.notes].join(" ")),
  );
  const warnings = change.warnings.map((text) => make("p", { class: "warning" }, text));
  return [...warnings, summary(change, display), left, right];
}
