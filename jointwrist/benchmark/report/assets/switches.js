"use strict";

// A switch shows or hides every part of the page that bears its layer or its bone, now and when it is changed.
function applySwitch(box) {
  const { toggleLayer, toggleBone } = box.dataset;
  const chosen = toggleLayer ? `[data-layer="${toggleLayer}"]` : `[data-bone="${toggleBone}"]`;
  for (const part of document.querySelectorAll(chosen)) part.classList.toggle("hidden", !box.checked);
}

document.addEventListener("change", (event) => {
  if (event.target.matches("[data-toggle-layer], [data-toggle-bone]")) applySwitch(event.target);
});
