"""What the columns of the tables mean; the tables have these columns, in this order."""

from __future__ import annotations

_NAMED = {
    "file": ("", "JSON file of the result; the key that joins the tables"),
    "source": ("", "name of the radiograph's file"),
    "side": ("", "L or R; empty for an anatomy without sides"),
}
_BOX = {
    "x0": ("px", "left edge of the box around it, on the radiograph"),
    "y0": ("px", "upper edge"),
    "x1": ("px", "right edge, exclusive"),
    "y1": ("px", "lower edge, exclusive"),
}
_COMPARED = {
    "file": ("", "JSON file of the comparison; the key that joins the tables of comparisons"),
    "baseline": ("", "name of the earlier radiograph's file"),
    "followup": ("", "name of the later radiograph's file"),
    "side": ("", "L or R"),
}
_LIMITS = ("", "reasons why it is outside the weights' scope, as 'status: reason', separated by ' | '")

#: Columns of the codebook itself.
CODEBOOK_COLUMNS = ("table", "column", "unit", "meaning")
#: Unit and meaning of every column, by table.
CODEBOOK: dict[str, dict[str, tuple[str, str]]] = {
    "wrists": {
        **_NAMED,
        "model": ("", "name of the network"),
        "weights": ("", "weight file"),
        "version": ("", "version of jointwrist"),
        "real_erosions": ("1 yes, 0 no", "whether the weights were trained on erosions of patients"),
        "trained_on": ("", "what the weights were trained on"),
        "height": ("px", "height of the radiograph"),
        "width": ("px", "width of the radiograph"),
        "pixel_height_mm": ("mm", "height of a pixel in the plane of the hand; empty if unknown"),
        "pixel_width_mm": ("mm", "width of a pixel"),
        "turn": ("degrees", "clockwise rotation after which the fingers point upwards"),
        "pixels_across_wrist": ("px", "the radiograph's own pixels across the part that was predicted"),
        "findings": ("", "findings outside the weights' scope, separated by ' | '"),
        "bones_found": ("", "number of bones found"),
        "joints_scored": ("", "number of joint surfaces with an erosion score"),
        "joints_withheld": ("", "number of joint surfaces whose score is withheld"),
        "joints_eroded": (
            "",
            "number of scored joint surfaces called eroded, empty if none is scored; not a Sharp/van der Heijde score",
        ),
        "erosion_threshold": ("", "probability from which a joint surface is called eroded"),
        "notes": ("", "remarks on the result, separated by ' | '"),
        "source_digest": ("", "hash of the radiograph's file"),
    },
    "joints": {
        **_NAMED,
        "score": ("", "what is scored: erosion, or another score of the anatomy"),
        "joint": ("", "joint surface or site"),
        "found": ("1 yes, 0 no", "whether it was found and scored"),
        "withheld": ("1 yes, 0 no", "whether its score is withheld, as it is outside the weights' scope"),
        "limits": _LIMITS,
        "probability": ("0 to 1", "probability of a score above 0"),
        "eroded": ("1 yes, 0 no", "whether it is called eroded: the probability reaches erosion_threshold"),
        "level": (
            "",
            "highest level reached with a probability of 0.5 or more; of erosions 0 if not called eroded, else at least"
            " 1. A level is the position of the score's range, counted from 0: do not add levels up",
        ),
        "score_range": ("", "scores of that level; '3 to 5', as spreadsheets take 3-5 for a date"),
        "probability_sd": ("", "standard deviation of the probability over five views (--tta)"),
        "contour_share": ("0 to 1", "eroded share of the healthy contour"),
        "depth_mm": ("mm", "depth of the erosion"),
        "depth_px": ("px", "the same where the pixel spacing is unknown"),
        "area_mm2": ("mm2", "area of the erosion"),
        "area_px": ("px2", "the same where the pixel spacing is unknown"),
        **_BOX,
    },
    "bones": {
        **_NAMED,
        "bone": ("", "name of the bone"),
        "found": ("1 yes, 0 no", "whether it was found"),
        "limits": _LIMITS,
        "area_mm2": ("mm2", "area of its projection; empty if the pixel spacing is unknown"),
        "area_px": ("px", "pixels of its mask"),
        "dice_between_views": ("0 to 1", "mean Dice coefficient of its masks in five views (--tta)"),
        **_BOX,
    },
    "joint_spaces": {
        **_NAMED,
        "site": ("", "site of joint-space narrowing"),
        "bone": ("", "first bone"),
        "other_bone": ("", "second bone"),
        "unit": ("", "unit of the following lengths: mm, or px where the pixel spacing is unknown"),
        "minimum": ("see unit", "smallest width; negative where the projections overlap, which is no narrowing"),
        "mean": ("see unit", "mean width"),
        "mean_at_edges": ("see unit", "mean width between the edges of the bones on the radiograph; empty if not seen"),
        "area": ("see unit, squared", "area between the bones"),
        "overlap": ("see unit, squared", "area of the overlap of their projections"),
    },
    "comparisons": {
        **_COMPARED,
        "model": ("", "name of the network"),
        "weights": ("", "weight file"),
        "real_erosions": ("1 yes, 0 no", "whether the weights were trained on erosions of patients"),
        "unit": ("", "unit of lengths: mm, or px of the baseline where a pixel spacing is unknown"),
        "scale": ("", "size of the baseline's pixels over the follow-up's, from the registration"),
        "angle_degrees": ("degrees", "rotation of the follow-up to the baseline"),
        "residual_px": ("px", "median distance between the registered outlines"),
        "joints_scored_twice": ("", "number of joint surfaces scored at both visits"),
        "joints_higher": ("", "number of them with a higher level at the follow-up; empty if there are none"),
        "joints_lower": ("", "number of them with a lower level at the follow-up; empty if there are none"),
        "warnings": ("", "reasons to doubt that these are two visits of one patient, separated by ' | '"),
        "notes": ("", "remarks on the comparison, separated by ' | '"),
    },
    "joint_changes": {
        **_COMPARED,
        "joint": ("", "joint surface"),
        "baseline_range": ("", "scores of the level at the baseline; '3 to 5', as spreadsheets take 3-5 for a date"),
        "followup_range": ("", "the same at the follow-up"),
        "baseline_probability": ("0 to 1", "probability of a score above 0 at the baseline"),
        "followup_probability": ("0 to 1", "the same at the follow-up"),
        "level_change": ("", "level at the follow-up minus that at the baseline; do not add up over joint surfaces"),
    },
    "bone_changes": {
        **_COMPARED,
        "bone": ("", "name of the bone"),
        "unit": ("", "unit of lengths; areas are in its square"),
        "baseline_area": ("see unit, squared", "area at the baseline, within what both radiographs show"),
        "followup_area": ("see unit, squared", "area at the follow-up"),
        "change_percent": ("%", "change of the area"),
    },
    "joint_space_changes": {
        **_COMPARED,
        "site": ("", "site of joint-space narrowing"),
        "bone": ("", "first bone"),
        "other_bone": ("", "second bone"),
        "unit": ("", "unit of the following lengths"),
        **{
            f"{visit}{figure}{change}": (unit, f"{meaning}{when}")
            for figure, unit, meaning in (
                ("minimum", "see unit", "smallest width"),
                ("mean", "see unit", "mean width"),
                ("area", "see unit, squared", "area between the bones"),
                ("overlap", "see unit, squared", "area of the overlap of their projections"),
            )
            for visit, change, when in (
                ("baseline_", "", " at the baseline"),
                ("followup_", "", " at the follow-up"),
                ("", "_change", ", follow-up minus baseline"),
            )
        },
        "displacement": ("see unit", "distance by which the second bone has moved away, from the grey values"),
        "displacement_error": ("see unit", "its standard error"),
    },
}
