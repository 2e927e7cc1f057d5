"""Training pairs of radiographs: one with inserted erosions, and the same one without them."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import torch
from torch.utils.data import Dataset, Sampler

from jointwrist.anatomy import NUM_JOINTS
from jointwrist.data.batches.samplers import EpochBatches, FreshBatches
from jointwrist.data.batches.torch_datasets import sample_to_item
from jointwrist.data.dataset.case import Case
from jointwrist.data.sample import WristSample
from jointwrist.errors import DataError
from jointwrist.insertion.insert import Insertion, insert_control, insert_erosion
from jointwrist.insertion.prepared_radiograph import PreparedRadiograph
from jointwrist.renamed_names import former_arguments, former_attribute

#: Radiographs that are kept in memory: 24 of 640 x 640 pixels, of about 16 MB each, or fewer larger ones.
_KEPT_PIXELS = 24 * 640**2
#: Attempts to place an erosion on a radiograph.
_TRIES = 6


class RadiographPairs(Dataset):
    """Pairs of radiographs: item 2i has inserted erosions, item 2i + 1 is the same radiograph without them.

    Items are those of `sample_to_item` without scores, and

    - `inserted` (6,) bool, the joints that have an inserted erosion; none in the radiograph without;
    - `pair` int64, i.

    `has_bones` and `has_eroded` are False, as no other label of the radiograph is used. `bones` nevertheless holds the
    bones, predicted or those of the case, in the radiograph with erosions what remains of them, and `eroded` the
    inserted pixels.

    Args:
        radiographs: Files of prepared radiographs (see `PreparedRadiograph`), and cases of a dataset with bone masks.
        size: Side of the items in pixels.
        families: Families of erosions.
        radii: Smallest and largest radius in mm.
        control: Probability that the radiograph without erosions has the same change in soft tissue.
        most: Largest number of joints with an erosion.
        seed: Pair i of a seed is the same in every process.
    """

    films = former_attribute("films", "radiographs")

    @former_arguments(films="radiographs")
    def __init__(
        self,
        radiographs: Sequence[Path | Case],
        size: int,
        families: Sequence[str],
        radii: tuple[float, float] = (0.8, 3.5),
        control: float = 0.3,
        most: int = 3,
        seed: int = 0,
    ):
        self.radiographs, self.size, self.families, self.radii = list(radiographs), size, tuple(families), radii
        self.control, self.most, self.seed = control, most, seed
        self._kept: OrderedDict[int, PreparedRadiograph | None] = OrderedDict()
        self._held: tuple[int, tuple[WristSample, WristSample, np.ndarray]] | None = None

    def __len__(self) -> int:
        return 2 * len(self.radiographs)

    def __getstate__(self) -> dict[str, object]:
        return {**self.__dict__, "_kept": OrderedDict(), "_held": None}

    def __getitem__(self, index: int) -> dict[str, object]:
        pair, without = divmod(index, 2)
        if self._held is None or self._held[0] != pair:
            self._held = (pair, self.samples(pair))
        eroded, untouched, inserted = self._held[1]
        item = sample_to_item(untouched if without else eroded, self.size)
        return {
            **item,
            "has_bones": torch.tensor(False),
            "has_eroded": torch.tensor(False),
            "inserted": torch.from_numpy(np.zeros(NUM_JOINTS, bool) if without else inserted),
            "pair": torch.tensor(pair),
        }

    def samples(self, pair: int) -> tuple[WristSample, WristSample, np.ndarray]:
        """Return the radiograph with erosions, the radiograph without, and (6,) bool, the joints that have one.

        Raises:
            DataError: An erosion can be inserted into none of the radiographs.
        """
        rng = np.random.default_rng([self.seed, pair])
        turn, place = divmod(pair, len(self.radiographs))
        order = np.random.default_rng([self.seed, turn, 1]).permutation(len(self.radiographs))
        for index in np.roll(order, -place).tolist():
            wrist = self._wrist(index)
            if wrist is not None and (found := self._insertions(wrist, rng)):
                return self._pair(wrist, found, rng)
        raise DataError(
            f"{_place(self.radiographs[0])}: no erosion can be inserted; the joints of these radiographs are hidden,"
            " scored as eroded, or of unknown scale"
        )

    def _wrist(self, index: int) -> PreparedRadiograph | None:
        if index not in self._kept:
            radiograph = self.radiographs[index]
            read = PreparedRadiograph.of_case if isinstance(radiograph, Case) else PreparedRadiograph.read
            self._kept[index] = read(radiograph)
        self._kept.move_to_end(index)
        while len(self._kept) > 1 and sum(map(_pixels, self._kept.values())) > _KEPT_PIXELS:
            self._kept.popitem(last=False)
        return self._kept[index]

    def _insertions(self, wrist: PreparedRadiograph, rng: np.random.Generator) -> list[Insertion]:
        wanted, found = int(rng.integers(1, self.most + 1)), []
        for joint in rng.permutation(NUM_JOINTS)[:_TRIES]:
            if joint in wrist.eroded:
                continue
            radius = float(np.exp(rng.uniform(*np.log(self.radii))))
            family, seed = str(rng.choice(self.families)), int(rng.integers(2**31))
            insertion = insert_erosion(wrist.radiograph, int(joint), family, radius, seed)
            if insertion is not None:
                found.append(insertion)
            if len(found) == wanted:
                break
        return found

    def _pair(
        self, wrist: PreparedRadiograph, found: Sequence[Insertion], rng: np.random.Generator
    ) -> tuple[WristSample, WristSample, np.ndarray]:
        radiograph = wrist.radiograph
        # erosions of neighbouring joints may overlap; there the deeper one counts
        changed = np.where(
            (lowest := np.min([i.pixels for i in found], axis=0)) < radiograph.pixels,
            lowest,
            np.max([i.pixels for i in found], axis=0),
        )
        bones, eroded = radiograph.bits.copy(), np.zeros(radiograph.pixels.shape, np.uint8)
        for insertion in found:
            lost = radiograph.masks[insertion.bone_index] & ~insertion.bone
            bones[lost] &= ~bones.dtype.type(1 << insertion.bone_index)
            eroded[insertion.eroded] |= 1 << insertion.joint
        plain = radiograph.pixels
        if rng.random() < self.control and (control := insert_control(radiograph, found[0])) is not None:
            plain = control.pixels
        who = {"identifier": wrist.name, "patient": wrist.patient, "side": wrist.side, "mirrored": wrist.side == "L"}
        with_erosions = WristSample(**who, image=changed[None], bones=bones, eroded=eroded)
        inserted = np.zeros(NUM_JOINTS, bool)
        inserted[[insertion.joint for insertion in found]] = True
        return with_erosions, WristSample(**who, image=plain[None], bones=radiograph.bits), inserted


def _pixels(wrist: PreparedRadiograph | None) -> int:
    return 0 if wrist is None else wrist.radiograph.pixels.size


def _place(radiograph: Path | Case) -> Path:
    return (radiograph.image if isinstance(radiograph, Case) else radiograph).parent


class WithPairs(Dataset):
    """Training items together with pairs of radiographs, which have negative indices.

    Args:
        items: Other training items.
        pairs: Pairs; item j of them has the index -1 - j.
    """

    def __init__(self, items: Dataset, pairs: RadiographPairs):
        self.items, self.pairs = items, pairs

    def __len__(self) -> int:
        return len(self.items)

    def __getitem__(self, index: int) -> dict[str, object]:
        if index < 0:
            return self.pairs[-1 - index]
        return {**self.items[index], "inserted": torch.zeros(NUM_JOINTS, dtype=torch.bool), "pair": torch.tensor(-1)}


class PairBatches(Sampler[list[int]]):
    """Batches of other items, each followed by pairs that never repeat.

    Args:
        batches: Batches of the other items.
        count: Pairs per batch.
    """

    def __init__(self, batches: EpochBatches | FreshBatches, count: int):
        self.batches, self.count = batches, count
        self.batch_size = batches.batch_size + 2 * count
        self.partners = batches.partners

    def __len__(self) -> int:
        return len(self.batches)

    @property
    def epoch(self) -> int:
        """Return the epoch whose batches the next pass gives."""
        return self.batches.epoch

    def set_epoch(self, epoch: int) -> None:
        """Choose the epoch whose batches the next pass gives."""
        self.batches.set_epoch(epoch)

    def __iter__(self) -> Iterator[list[int]]:
        first = self.epoch * len(self) * self.count
        for number, batch in enumerate(self.batches):
            start = 2 * (first + number * self.count)
            yield batch + [-1 - item for item in range(start, start + 2 * self.count)]
