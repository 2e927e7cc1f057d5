"""Former names of modules: an import by one of them still works, with a warning."""

from __future__ import annotations

import importlib
import sys
import warnings
from collections.abc import Sequence
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType

#: Present name by former name, both below `jointwrist`.
MODULES = {
    "benchmark.ablations.figures": "benchmark.ablations.estimates",
    "benchmark.ablations.picture": "benchmark.ablations.plot",
    "benchmark.matrix": "benchmark.run_jobs",
    "data.formats": "data.mask_formats",
    "data.formats.bit_map": "data.mask_formats.bit_map",
    "data.formats.coco": "data.mask_formats.coco",
    "data.formats.label_map": "data.mask_formats.label_map",
    "data.formats.labelme": "data.mask_formats.labelme",
    "data.formats.layers": "data.mask_formats.layers",
    "data.formats.nifti": "data.mask_formats.nifti",
    "data.formats.nnunet": "data.mask_formats.nnunet",
    "data.formats.png": "data.mask_formats.png",
    "data.formats.predicted": "data.mask_formats.predicted",
    "data.formats.seg_nrrd": "data.mask_formats.seg_nrrd",
    "data.importers.coco": "data.importers.coco_annotations",
    "engine.augment": "engine.tasks.augment",
    "engine.batches": "engine.batch_schema",
    "engine.build": "engine.loop.build",
    "engine.calibration": "engine.loop.calibration",
    "engine.case_results": "engine.results.case_results",
    "engine.convert": "engine.convert_authors_checkpoint",
    "engine.evaluation": "engine.loop.evaluation",
    "engine.joint_config": "engine.config.joint_config",
    "engine.radiographs_config": "engine.config.radiographs_config",
    "engine.run_config": "engine.config.run_config",
    "engine.score_erosions": "engine.score_external_erosions",
    "engine.score_masks": "engine.score_external_masks",
    "engine.session": "engine.processes.session",
    "engine.step_context": "engine.tasks.step_context",
    "engine.trainer": "engine.loop.trainer",
    "inference.bone_motion": "inference.followup.bone_motion",
    "inference.candidates": "inference.search.candidates",
    "inference.localiser": "inference.search.localiser",
    "inference.locate": "inference.search.locate",
    "inference.mean_wrist": "inference.search.mean_wrist",
    "inference.networks": "inference.engines.networks",
    "inference.onnx_network": "inference.engines.onnx_network",
    "inference.prepare_films": "inference.prepare_radiographs",
    "inference.program_cache": "inference.engines.program_cache",
    "inference.program_parts": "inference.engines.program_parts",
    "inference.registration": "inference.followup.registration",
    "inference.scope.film": "inference.scope.aligned_wrist",
    "inference.scope.joint_lines": "inference.scope.joint_line",
    "inference.scope.judge": "inference.scope.assess",
    "inference.scope.signs": "inference.scope.features",
    "inference.square_pixels": "inference.pixel_aspect",
    "inference.torch_network": "inference.engines.torch_network",
    "inference.views": "inference.test_time_augmentation",
    "inference.visit_pixels": "inference.followup.visit_pixels",
    "inference.visits": "inference.followup.visits",
    "insertion.film": "insertion.masked_radiograph",
    "insertion.prepared_film": "insertion.prepared_radiograph",
    "metrics.seeds": "metrics.seed_patient_intervals",
    "models.shape_head": "models.erosion_shape_head",
    "phantom.carve_erosions": "phantom.joint_surface",
    "phantom.lesions.carving": "phantom.lesions.shapes",
    "weights.description": "weights.metadata_fields",
    "weights.metadata": "weights.model_from_metadata",
    "weights.undrawn": "weights.skip_init",
}


class FormerNames(MetaPathFinder, Loader):
    """Import a renamed module by its former name."""

    def find_spec(self, name: str, path: Sequence[str] | None, target: ModuleType | None = None) -> ModuleSpec | None:
        """Return a spec if `name` is the former name of a module."""
        return ModuleSpec(name, self) if name.removeprefix("jointwrist.") in MODULES else None

    def exec_module(self, module: ModuleType) -> None:
        """Put the renamed module in place of `module`."""
        name = f"jointwrist.{MODULES[module.__name__.removeprefix('jointwrist.')]}"
        warnings.warn(f"{module.__name__} is now {name}", FutureWarning, stacklevel=2)
        sys.modules[module.__name__] = importlib.import_module(name)
