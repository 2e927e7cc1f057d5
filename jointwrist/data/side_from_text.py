"""Find the hand that a text names, in file names and in descriptions of a DICOM header.

One rule for all commands. A text names a side only if it can hardly mean anything else: `wrist-L`, `WRI-L1`,
`LHand`, `LT WRIST`, `Handgelenk li.`, `main gauche`. A patient's code (`L12`), an initial (`Smith R`) or the end of a
word (`model`, `DUAL`) does not, nor does a text that names both sides. If texts leave the side open, the bones decide.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from pathlib import PurePath
from typing import NamedTuple

_WORDS = {
    "L": "left links linke linker linkes linken gauche izquierda izquierdo sinistra sinistro esquerda esquerdo vanster"
    " vanstra venstre lewa lewy lewej lewego левая левый левой левого",
    "R": "right rechts rechte rechter rechtes rechten droite droit derecha derecho destra destro direita direito hoger"
    " hogra højre høyre hojre hoyre prawa prawy prawej prawego правая правый правой правого",
    "LR": "both bilateral bilat bds bde beide beider beidseits mirrored flipped hflip fliplr gespiegelt lr rl",
}
#: Unambiguous words and their sides; those of "LR" mean both hands, or a mirrored radiograph.
WORDS = {word: sides for sides, words in _WORDS.items() for word in words.split()}
#: Words after a side that does not refer to the radiograph.
_DOMINANCE = ("handed", "hander", "dominant")
#: Abbreviations, which count only where neighbouring words do not make them part of a name or code.
ABBREVIATIONS = {"l": "L", "r": "R", "lt": "L", "rt": "R", "lft": "L", "rgt": "R"}
#: Abbreviations that count only with words of the same language: otherwise DX is a modality, Li a name and D a letter.
_NATIONAL = (
    ("hand hande handgelenk handgelenke handwurzel hg", {"li": "L", "re": "R"}),
    ("main mains poignet poignets", {"g": "L", "d": "R", "gche": "L", "dte": "R"}),
    ("mano manos muneca munecas", {"izq": "L", "izda": "L", "der": "R", "dcha": "R", "dch": "R"}),
    ("mano polso", {"sx": "L", "sn": "L", "sin": "L", "dx": "R"}),
)
HANDS = frozenset(
    "hand hands wrist wrists wri carpus carpal carpals hande handgelenk handgelenke handwurzel hg main mains poignet"
    " poignets mano manos muneca munecas polso polsi mao maos punho punhos pols handled handleden håndled handledd"
    " håndledd nadgarstek reka dłon кисть кисти запястье finger fingers thumb metacarpal metacarpals forearm".split()
)
#: Names of two sources for `agree`.
ASKED, NAME = "what was asked for", "the file's name"
_ENDINGS = frozenset("png jpg jpeg bmp tif tiff dcm dicom ima json xml nii gz nrrd npy npz".split())
#: Other words that are not names, so that a letter next to them is not an initial.
OTHERS = _ENDINGS | frozenset(
    "pa ap dp dv face profil lat lateral obl oblique view views xr xray ray cr dx dr rx film films img image images im"
    " scan visit baseline followup up pre post mask masks seg overlay label labels annotated copy kopie crop cropped"
    " original orig final phantom gt pred rf side seite lado lato hemi laterality".split()
)
_PIECES = re.compile(r"[^\W\d_]*?[a-zß-ÿ](?=[A-ZÀ-Þ])|[A-Z]+(?=[A-Z][a-z])|[^\W\d_]+")


class _Piece(NamedTuple):
    """A word of a text, folded (lower case, no accents), and the characters directly before it."""

    text: str
    start: int
    end: int
    before: str
    code: bool


def side_of_name(name: str | PurePath) -> str | None:
    """Return the side that a file name states, "L" or "R", or None; folder names do not count."""
    return side_of_text(re.split(r"[/\\]", str(name))[-1])


def side_of_text(text: str) -> str | None:
    """Return the side that a text states, "L" or "R"; None if it states none or both."""
    sides = {side for _, _, found in _marks(text) for side in found}
    return sides.pop() if len(sides) == 1 else None


def check_side(side: str | None) -> None:
    """Refuse a side that is not "L", "R" or None with a `ValueError`."""
    if side not in (None, "L", "R"):
        raise ValueError(f"a side is 'L' or 'R', not {side!r}")


def agree(sources: Iterable[tuple[str, str | None]]) -> tuple[str | None, tuple[str, ...]]:
    """Return the side named by the first source, and a caution if another one contradicts it.

    Args:
        sources: Name of each source, as in "the file's name", and its side: "L", "R" or None.
    """
    found = [(source, side) for source, side in sources if side in ("L", "R")]
    if not found:
        return None, ()
    chosen, side = found[0]
    others = [source for source, other in found if other != side]
    if not others:
        return side, ()
    hand, opposite = ("left", "right") if side == "L" else ("right", "left")
    return side, (f"Taken for a {hand} hand by {chosen}; {others[0]} says {opposite}: look at the overlay.",)


def folded_words(text: str) -> list[str]:
    """Return the words of a text in lower case and without accents."""
    return [piece.text for piece in _pieces(unicodedata.normalize("NFC", text)) if not piece.code]


def without_side(name: str) -> str:
    """Return a file name without the marks of its side, the same for both hands: `WRI-L1_2` becomes `WRI-1_2`."""
    name = unicodedata.normalize("NFC", name)
    if side_of_text(name) is None:
        return name
    for start, end, _ in reversed(_marks(name)):
        name = name[:start] + name[end:]
    return name


def _marks(text: str) -> list[tuple[int, int, str]]:
    """Return start, end and sides ("L", "R" or "LR") of every part that names a side."""
    text = unicodedata.normalize("NFC", text)
    pieces = _pieces(text)
    marks = [(match.start(), match.end(), "L" if match[0] == "左" else "R") for match in re.finditer("[左右]", text)]
    for index, piece in enumerate(pieces):
        before = pieces[index - 1] if index else None
        after = pieces[index + 1] if index + 1 < len(pieces) else None
        if piece.code:
            marks += _in_code(text, piece, before, after)
        elif piece.text in WORDS:
            if after is None or after.text not in _DOMINANCE:
                marks.append((piece.start, piece.end, WORDS[piece.text]))
        elif after and {ABBREVIATIONS.get(piece.text), ABBREVIATIONS.get(after.text)} == {"L", "R"}:
            marks.append((piece.start, after.end, "LR"))
        elif (found := _glued(piece)) is not None:
            marks.append(found)
        elif (side := _abbreviated(text, pieces, index)) is not None:
            marks.append((piece.start, piece.end, side))
    return sorted(marks)


def _pieces(text: str) -> list[_Piece]:
    """Split a text at punctuation, between lower and upper case, and at digits next to whole words."""
    pieces = []
    for chunk in re.finditer(r"[^\W_]+", text):
        word = re.fullmatch(r"(\d*)([^\W\d_]{2,})(\d*)", chunk[0])
        if word is None and re.search(r"\d", chunk[0]):
            pieces.append((chunk.start(), chunk.end(), True))
            continue
        offset = chunk.start() + (len(word[1]) if word else 0)
        letters = word[2] if word else chunk[0]
        parts = [(offset + m.start(), offset + m.end(), False) for m in _PIECES.finditer(letters)]
        # digits next to a meaningless word or a letter make it a code
        coded = letters != chunk[0] and (
            not any(_means(_folded(text[start:end])) for start, end, _ in parts)
            or (len(word[3]) > 1 and parts[-1][1] - parts[-1][0] == 1)
        )
        pieces += [(chunk.start(), chunk.end(), True)] if coded else parts
    starts = [0, *(end for _, end, _ in pieces)]
    return [
        _Piece(_folded(text[start:end]), start, end, text[last:start], code)
        for last, (start, end, code) in zip(starts, pieces, strict=False)
    ]


def _means(word: str) -> bool:
    """Whether a folded word names a side, a hand, or both written together."""
    return word in HANDS or word in WORDS or word in ABBREVIATIONS or _split(word) is not None


def _folded(word: str) -> str:
    split = unicodedata.normalize("NFKD", word.casefold())
    return unicodedata.normalize("NFC", "".join(c for c in split if not unicodedata.combining(c) or c == "\u0306"))


def _in_code(text: str, piece: _Piece, before: _Piece | None, after: _Piece | None) -> list[tuple[int, int, str]]:
    """Read `WRI-L1` and `0012L`."""
    word = text[piece.start : piece.end]
    if before and before.text in HANDS and re.fullmatch(r"[LRlr]\d", word):
        return [(piece.start, piece.start + 1, word[0].upper())]
    if re.fullmatch(r"\d+[LR]", word) and _quiet(after):
        return [(piece.end - 1, piece.end, word[-1])]
    return []


def _glued(piece: _Piece) -> tuple[int, int, str] | None:
    """Read `lhand`, `WRISTL`, `leftwrist` and `linkerhand`."""
    found = _split(piece.text)
    return found and (piece.start + found[0], piece.start + found[1], found[2])


def _split(text: str) -> tuple[int, int, str] | None:
    """Return start, end and side of the part of a folded word that precedes or follows one for the hand."""
    for word, side in {**WORDS, **ABBREVIATIONS}.items():
        if text.startswith(word) and text[len(word) :] in HANDS:
            return 0, len(word), side
        if text.endswith(word) and text[: -len(word)] in HANDS:
            return len(text) - len(word), len(text), side
    return None


def _abbreviated(text: str, pieces: list[_Piece], index: int) -> str | None:
    """Read `wrist_L`, `L WRIST`, `0001_L_0002`, `Handgelenk li.` and `main g`."""
    piece = pieces[index]
    before = pieces[index - 1] if index else None
    after = pieces[index + 1] if index + 1 < len(pieces) else None
    for hands, sides in _NATIONAL:
        if piece.text in sides:
            dotted = text[piece.end : piece.end + 1] == "."
            if before and before.text in hands.split() and (_quiet(after) or dotted):
                return sides[piece.text]
            if after and after.text in hands.split() and dotted:
                return sides[piece.text]
    side = ABBREVIATIONS.get(piece.text)
    if side is None or not _quiet(after):
        return None
    if after and after.text in HANDS:
        return side
    if len(piece.text) > 1:  # RT is radiotherapy as well, LT a rank and initials
        sure = before and (before.code or any(other.text in HANDS for other in pieces))
        return side if sure and _quiet(before) else None
    if before is None and after and after.text in OTHERS - _ENDINGS:
        return side
    if before and _quiet(before) and piece.before != "'":
        return side
    # PATIENT_L and PATIENT-L, for any patient
    at_end = all(later.text in _ENDINGS for later in pieces[index + 1 :])
    return side if at_end and piece.before.endswith(("_", "-")) else None


def _quiet(piece: _Piece | None) -> bool:
    """Whether a neighbouring word is missing, a number or code, or not a person's name."""
    return piece is None or piece.code or piece.text in HANDS | OTHERS | WORDS.keys()
