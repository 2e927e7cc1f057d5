"""DICOM grayscale softcopy presentation state with outlines, names and erosion calls, drawn on the source image."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from copy import deepcopy
from typing import TYPE_CHECKING

import numpy as np

from jointwrist.data.dicom.colour import in_colour
from jointwrist.data.dicom.elements import element_numbers
from jointwrist.data.dicom.grayscale import is_window_width, stored_range
from jointwrist.data.dicom.header import silence_header_warnings
from jointwrist.data.dicom.lut import LookUpTable, read_lut
from jointwrist.errors import DataError
from jointwrist.ops.outlines import bounding_box, closed_outlines
from jointwrist.outputs.dicom_codes import content_label
from jointwrist.outputs.dicom_instance import mark_deidentified, new_instance
from jointwrist.outputs.dicom_source import source_dataset
from jointwrist.outputs.overlay_panel import ERODED, HEALTHY
from jointwrist.text import NOTICE

if TYPE_CHECKING:
    from highdicom.pr import (
        GraphicAnnotation,
        GraphicLayer,
        GraphicObject,
        GrayscaleSoftcopyPresentationState,
        TextObject,
    )
    from pydicom import Dataset

    from jointwrist.inference.result import WristResult

SERIES_NUMBER = 7603
#: Points of one polyline: GraphicData of an explicit transfer syntax holds 64 KiB of 4-byte coordinates.
MAX_POINTS = 8000
#: Attributes of the windows of the source; without them viewers would show a different grey scale.
_WINDOW = ("WindowCenter", "WindowWidth", "WindowCenterWidthExplanation", "VOILUTFunction")


@silence_header_warnings()
def build_pr(result: WristResult, deidentify: bool = False) -> GrayscaleSoftcopyPresentationState:
    """Make a presentation state (GSPS) that draws a prediction on the radiograph.

    Each bone found has a graphic layer in its colour with the outline of its mask and its name; each scored joint
    surface has its box, score and probability in a layer for eroded or for healthy surfaces. Outlines run halfway
    between the pixels of the mask and their neighbours, in pixels from the upper left corner of the image (PS3.3
    C.10.5). The grey scale is the one that the source was read with; an inverse presentation look-up table preserves
    MONOCHROME1.

    Args:
        result: Prediction of a DICOM radiograph.
        deidentify: Leave patient and study empty, and replace the UIDs of study, series and image.

    Raises:
        DataError: The prediction is not of a DICOM image, or of one that is stored in colour.
        MissingExtraError: highdicom is not installed.
    """
    source = source_dataset(result.radiograph, deidentify)
    import highdicom as hd

    if in_colour(result.radiograph.header):
        raise DataError(
            f"{result.radiograph.source}: stored in colour, and a grayscale presentation state cannot refer to it;"
            " write seg, sr or sc"
        )
    source.SamplesPerPixel = 1
    inverse = result.radiograph.header.get("PhotometricInterpretation") == "MONOCHROME1"
    shapes = hd.PresentationLUTShapeValues
    annotations = list(_annotations(result, source))
    state = hd.pr.GrayscaleSoftcopyPresentationState(
        referenced_images=[source],
        content_label=content_label(result.anatomy),
        content_description="Research software, not a medical device",
        graphic_annotations=[annotation for _, annotation in annotations],
        graphic_layers=[layer for layer, _ in annotations],
        presentation_lut_transformation=hd.PresentationLUTTransformation(
            presentation_lut_shape=shapes.INVERSE if inverse else shapes.IDENTITY
        ),
        **new_instance(SERIES_NUMBER, f"{result.anatomy.name.capitalize()} outlines"),
    )
    state.Laterality = result.radiograph.side or ""
    _keep_grey_scale(state, result.radiograph.header)
    if result.radiograph.aspect != 1:
        state.DisplayedAreaSelectionSequence[0].PresentationPixelAspectRatio = [
            round(1000 * result.radiograph.aspect),
            1000,
        ]
    if deidentify:
        mark_deidentified(state)
    return state


def _annotations(result: WristResult, source: Dataset) -> Iterator[tuple[GraphicLayer, GraphicAnnotation]]:
    import highdicom as hd

    def layer(order: int, name: str, description: str, colour: tuple[int, int, int]) -> GraphicLayer:
        return hd.pr.GraphicLayer(name, order, description, hd.color.CIELabColor.from_rgb(*colour))

    def annotation(
        on: GraphicLayer, objects: Iterable[GraphicObject], texts: Iterable[TextObject]
    ) -> tuple[GraphicLayer, GraphicAnnotation]:
        return on, hd.pr.GraphicAnnotation([source], on, graphic_objects=[*objects] or None, text_objects=[*texts])

    for bone, found in zip(result.anatomy.bones, result.found, strict=True):
        if found:
            mask = result.masks[bone.index]
            lines = [_polyline(part) for outline in closed_outlines(mask) for part in _parts(outline + 0.5)]
            on = layer(bone.index + 1, f"BONE {bone.index + 1}", bone.display, bone.colour)
            yield annotation(on, lines, [_text(bone.display, *_inside(mask), result)])
    eroded, last = result.eroded, max(len(result.masks), 20)
    for order, chosen, name, colour in ((last + 1, eroded, "ERODED", ERODED), (last + 2, ~eroded, "HEALTHY", HEALTHY)):
        joints = [joint for joint in result.anatomy.eroded_joints if result.scored[joint.index] and chosen[joint.index]]
        if joints:
            boxes = [_box(result, joint.index) for joint in joints]
            texts = [
                _text(
                    f"{joint.display} {result.anatomy.erosion.labels[result.scores[joint.index]]}"
                    f" (probability {result.probabilities[joint.index]:.2f})",
                    *box[0],
                    result,
                )
                for joint, box in zip(joints, boxes, strict=True)
            ]
            yield annotation(
                layer(order, name, f"{name.capitalize()} joint surfaces", colour), map(_polyline, boxes), texts
            )
    notice = " ".join((*result.score_warnings, NOTICE))
    yield annotation(layer(last + 10, "NOTICE", "What this is", (200, 200, 200)), (), [_notice(notice)])


def _polyline(points: np.ndarray) -> GraphicObject:
    import highdicom as hd

    return hd.pr.GraphicObject(hd.pr.GraphicTypeValues.POLYLINE, points, hd.pr.AnnotationUnitsValues.PIXEL)


def _parts(points: np.ndarray) -> Iterator[np.ndarray]:
    """Split a line into parts that fit into a graphic object; each begins where the previous one ends."""
    for start in range(0, len(points) - 1, MAX_POINTS - 1):
        yield points[start : start + MAX_POINTS]


def _box(result: WristResult, joint: int) -> np.ndarray:
    height, width = result.radiograph.pixels.shape
    x0, y0, x1, y1 = np.clip(result.boxes[joint], 0, [width, height, width, height]).astype(float)
    return np.array([[x0, y0], [x1, y0], [x1, y1], [x0, y1], [x0, y0]])


def _inside(mask: np.ndarray) -> tuple[float, float]:
    """Return x and y of the pixel farthest from the outline of a mask, from the upper left corner of the image."""
    from scipy.ndimage import distance_transform_edt

    window = bounding_box(mask)
    depth = distance_transform_edt(np.pad(mask[window], 1))[1:-1, 1:-1]
    y, x = np.unravel_index(depth.argmax(), depth.shape)
    return window[1].start + x + 0.5, window[0].start + y + 0.5


def _text(text: str, x: float, y: float, result: WristResult) -> TextObject:
    import highdicom as hd

    height, width = result.radiograph.pixels.shape
    # viewers count the anchor from 1 up to the image's size
    anchor = (float(np.clip(x, 1, width)), float(np.clip(y, 1, height)))
    return hd.pr.TextObject(text, hd.pr.AnnotationUnitsValues.PIXEL, anchor_point=anchor, anchor_point_visible=False)


def _notice(text: str) -> TextObject:
    import highdicom as hd

    return hd.pr.TextObject(
        text, hd.pr.AnnotationUnitsValues.DISPLAY, bounding_box=(0.01, 0.95, 0.99, 0.99),
        text_justification=hd.pr.TextJustificationValues.LEFT,
    )  # fmt: skip


def _keep_grey_scale(state: Dataset, header: Dataset) -> None:
    """Copy the look-up tables or the window with which the source image was read."""
    from pydicom import Dataset

    low, high = stored_range(header)
    if header.get("ModalityLUTSequence"):
        table = header.ModalityLUTSequence[0]
        written = _written(read_lut(table, _little_endian(header), low, high), 1)
        written.ModalityLUTType = table.get("ModalityLUTType") or "US"
        state.ModalityLUTSequence = [written]
        low, high = 0, 65535
    elif all(element_numbers(header, name) for name in ("RescaleSlope", "RescaleIntercept")):
        for name in ("RescaleSlope", "RescaleIntercept"):
            state[name] = deepcopy(header[name])
        state.RescaleType = header.get("RescaleType") or "US"
        if header.RescaleIntercept < 0:
            low = -32768
    item = Dataset()
    if header.get("VOILUTSequence"):
        tables = [read_lut(table, _little_endian(header), low, high) for table in header.VOILUTSequence]
        # images may have 10 to 16 bits, presentation states 8 or 16 (C.11.8)
        item.VOILUTSequence = [_written(table, 65535 / (2**table.bits - 1)) for table in tables]
    elif _valid_window(header):
        for name in _WINDOW:
            if header.get(name) is not None:
                item[name] = deepcopy(header[name])
    if len(item):
        state.SoftcopyVOILUTSequence = [item]


def _little_endian(header: Dataset) -> bool:
    return header.original_encoding[1] is not False


def _written(table: LookUpTable, factor: float) -> Dataset:
    """Return a look-up table with its entries times a factor, in 16 bits and little endian as the state itself."""
    from pydicom import Dataset

    entries = np.rint(table.entries * factor).astype("<u2")
    result = Dataset()
    descriptor = np.array([len(entries) % 65536, table.first, 16]).astype(np.int16 if table.first < 0 else np.uint16)
    result.add_new("LUTDescriptor", "SS" if table.first < 0 else "US", descriptor.tolist())
    result.add_new("LUTData", "OW", entries.tobytes())
    return result


def _valid_window(header: Dataset) -> bool:
    """Whether all windows are valid: as many centres as widths, and widths that their function allows."""
    centers, widths = element_numbers(header, "WindowCenter"), element_numbers(header, "WindowWidth")
    if not centers or not widths or len(centers) != len(widths):
        return False
    return all(is_window_width(header, width) for width in widths)
