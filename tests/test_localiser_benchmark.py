"""What `benchmarks/localiser.py` counts as right, refused and wrong, with finders whose answer is known."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks import localiser as benchmark
from benchmarks import sides
from jointwrist.data.images import write_image
from jointwrist.errors import DataError
from jointwrist.inference.search.candidates import Candidate
from jointwrist.inference.search.localiser import FIELD_MM
from jointwrist.phantom import PhantomConfig, make_wrist


class Knowing:
    """Finds what it is told: wrists, or an error."""

    def __init__(self, answer):
        self.answer = answer

    def find(self, radiograph, give_up=None, scales=None):
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


@pytest.fixture(scope="module")
def hands():
    """A right and a left hand."""
    config = PhantomConfig(size=140, field_of_view=(benchmark.HAND_MM, benchmark.HAND_MM))
    made = [make_wrist(41, index, config) for index in range(4)]
    return [next(hand for hand in made if hand.side == side) for side in "RL"]


def found(hand, off_mm=0.0, shift=0.0, side=None):
    x, y = benchmark.middle(hand)
    return Candidate((x + shift + off_mm / hand.spacing_mm, y, FIELD_MM / hand.spacing_mm), side or hand.side, 1.0)


def test_one_hand(hands):
    right, _ = hands
    for answer, verdict in (
        ([found(right)], "right"),
        ([found(right, off_mm=benchmark.NEAR_MM + 1)], "wrong"),
        ([found(right, side="L")], "wrong"),
        ([found(right), found(right)], "wrong"),
        ([], "refused"),
    ):
        assert benchmark.one_hand(Knowing(answer), right, None) == verdict


def test_both_hands(hands):
    right, left = hands
    width = right.image.shape[2]
    for answer, verdict in (
        ([found(right), found(left, shift=width)], "right"),
        ([found(right, side="L"), found(left, shift=width, side="R")], "wrong"),
        ([found(right), found(left)], "wrong"),
        ([found(right)], "wrong"),
        ([], "refused"),
        (DataError("which hand is which cannot be told"), "refused"),
    ):
        assert benchmark.both(Knowing(answer), right, left) == verdict
    assert benchmark.pairs([left, right, left]) == [(right, left)]


def test_wrists_that_fill_the_radiograph_and_radiographs_without_one():
    wrist = make_wrist(8, 0, PhantomConfig(size=128))
    whole, part = (Candidate((64.0, 64.0, side), wrist.side, 1.0) for side in (128.0, 90.0))
    verdicts = [benchmark.filling(Knowing(answer), wrist) for answer in ([whole], [part], [])]
    assert verdicts == ["right", "wrong", "refused"]
    for radiograph in benchmark.empty_radiographs(0):
        assert (
            radiograph.dtype == np.float32
            and np.isfinite(radiograph).all()
            and 0 <= radiograph.min() <= radiograph.max() <= 1
        )
        assert benchmark.nothing(Knowing([whole]), radiograph) == "wrong"
        assert (
            benchmark.nothing(Knowing([]), radiograph)
            == benchmark.nothing(Knowing(DataError("none")), radiograph)
            == "right"
        )


def test_radiographs_of_ones_own(tmp_path, monkeypatch, capsys):
    seen = [Candidate((64.0, 64.0, 128.0), "R", 2.345, 0.96049), None]

    class First:
        @classmethod
        def load(cls):
            return cls()

        def filling(self, radiograph):
            assert radiograph.pixels.shape == (40, 40)
            return seen.pop(0)

    monkeypatch.setattr(benchmark, "Localiser", First)
    for name in "ac":
        write_image(tmp_path / f"{name}_R.png", np.linspace(0, 1, 1600).reshape(40, 40))
    (tmp_path / "b_R.png").write_bytes(b"no picture")
    assert benchmark.main([str(tmp_path)]) == 2
    printed = capsys.readouterr()
    assert "b_R.png" in printed.err
    rows = printed.out.splitlines()[2:]
    assert rows == ["| a_R.png | 0.960 | 2.35 |", "| c_R.png | does not fill the radiograph | - |"] and not seen
    assert benchmark.main([str(tmp_path / "nothing.png")]) == 2
    assert "nothing.png: no such file" in capsys.readouterr().err


def test_sides_counts_each_radiograph_and_its_mirror_image(tmp_path, monkeypatch, capsys):
    class Brightest:
        """Takes the half with the brightest pixel for the thumb's: left of a right hand."""

        @classmethod
        def load(cls):
            return cls()

        def side_from_bones(self, radiograph, window):
            column = radiograph.pixels.max(0).argmax() / radiograph.pixels.shape[1]
            return None if 0.4 < column < 0.6 else "R" if column < 0.4 else "L"

    monkeypatch.setattr(sides, "Localiser", Brightest)
    for name, column in (("a_L.png", 180), ("b_R.png", 180), ("c_L.png", 100), ("d.png", 10)):
        pixels = np.zeros((200, 200), np.float32)
        pixels[100, column] = 1
        write_image(tmp_path / name, pixels)
    assert sides.main([str(tmp_path)]) == 0
    assert "| as it is | 6 | 2 | 2 | 2 |" in capsys.readouterr().out
