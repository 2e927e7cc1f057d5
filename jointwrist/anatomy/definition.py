"""Parts of an anatomy: bones, joint surfaces, overlap pairs and scores."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property

#: Value of a joint that was not scored.
NOT_SCORED = -1
#: A coded term: scheme, value and meaning.
Code = tuple[str, str, str]


@dataclass(frozen=True)
class Bone:
    """A mask channel.

    Attributes:
        index: Channel of the masks and bit of the packed bit map.
        name: Identifier used throughout this package.
        display: Name shown to users.
        spellings: Other spellings in files.
        colour: RGB, 0..255.
        code: DICOM code, or None.
        parts: DICOM codes of the bones of a channel that holds more than one; its own code is the more general term.
    """

    index: int
    name: str
    display: str
    spellings: tuple[str, ...]
    colour: tuple[int, int, int]
    code: Code | None = None
    parts: tuple[Code, ...] = ()


@dataclass(frozen=True)
class JointSurface:
    """A joint surface, which has a region of interest and scores.

    Attributes:
        index: Position in the score vector.
        name: Identifier used throughout this package.
        display: Name shown to users.
        spellings: Other spellings in files.
        bone: Index of the bone that bears the surface.
        end: Whether only the end of that bone near the articulating bones belongs to the joint, as of a long bone.
        articulating_bones: Indices of the bones that it articulates with.
        released: Name in the score file, the boxes and the folders of crops.
    """

    index: int
    name: str
    display: str
    spellings: tuple[str, ...]
    bone: int
    end: bool
    articulating_bones: tuple[int, ...]
    released: str


@dataclass(frozen=True)
class Score:
    """An ordinal score of joint surfaces.

    Attributes:
        name: Identifier, such as "erosion".
        display: Name shown to users.
        highest: Highest score; the lowest is 0.
        levels: Levels that a network distinguishes; the highest stands for its score and all above.
        joints: Indices of the joint surfaces that are scored.
    """

    name: str
    display: str
    highest: int
    levels: int
    joints: tuple[int, ...]

    @property
    def values(self) -> tuple[int, ...]:
        """Return the scores that a joint can have."""
        return tuple(range(self.highest + 1))

    @property
    def labels(self) -> tuple[str, ...]:
        """Return the labels of the levels: "0", "1", "2", "3-5" for four levels of a score up to 5."""
        last = self.levels - 1
        return (*map(str, range(last)), str(last) if last == self.highest else f"{last}-{self.highest}")


@dataclass(frozen=True)
class Anatomy:
    """Names, order, colours and neighbours of the bones of a body region, and the scores of its joints.

    Attributes:
        name: Name, such as "wrist".
        region: DICOM code of the body region, or None.
        bones: Bones in the order of the mask channels.
        joints: Joint surfaces in the order of the score vector.
        overlaps: Pairs of indices of bones whose projections overlap.
        scores: Scores of the joint surfaces.
        sides: Whether a body has it on the left and on the right; radiographs of the left one are mirrored for the
            network.
    """

    name: str
    region: Code | None
    bones: tuple[Bone, ...]
    joints: tuple[JointSurface, ...]
    overlaps: tuple[tuple[int, int], ...]
    scores: tuple[Score, ...]
    sides: bool = True

    @cached_property
    def bone_names(self) -> tuple[str, ...]:
        """Names of the bones in order."""
        return tuple(bone.name for bone in self.bones)

    @cached_property
    def joint_names(self) -> tuple[str, ...]:
        """Names of the joint surfaces in order."""
        return tuple(joint.name for joint in self.joints)

    @cached_property
    def overlap_names(self) -> tuple[str, ...]:
        """Names of the overlap pairs, `BONE&BONE`."""
        return tuple(f"{self.bones[a].name}&{self.bones[b].name}" for a, b in self.overlaps)

    @cached_property
    def structure(self) -> tuple[object, ...]:
        """Everything that labels and weights depend on; display names, spellings, colours and codes may differ."""
        joints = tuple((joint.name, joint.bone, joint.end, joint.articulating_bones) for joint in self.joints)
        scores = tuple((score.name, score.highest, score.levels, score.joints) for score in self.scores)
        return self.bone_names, joints, self.overlaps, scores, self.sides

    @property
    def unscored(self) -> tuple[int, ...]:
        """Scores of a radiograph without any: `NOT_SCORED` for every joint surface."""
        return (NOT_SCORED,) * len(self.joints)

    @cached_property
    def erosion(self) -> Score:
        """The erosion score, which the joint network predicts; every anatomy with joints has one.

        Raises:
            ValueError: The anatomy has no joints.
        """
        return self.score("erosion")

    @cached_property
    def further_scores(self) -> tuple[Score, ...]:
        """Scores other than erosion, such as joint-space narrowing."""
        return tuple(score for score in self.scores if score.name != "erosion")

    def scored_joints(self, name: str) -> tuple[JointSurface, ...]:
        """Return the joint surfaces of a score, by its name."""
        return tuple(self.joints[joint] for joint in self.score(name).joints)

    @cached_property
    def eroded_joints(self) -> tuple[JointSurface, ...]:
        """Joint surfaces that are scored for erosion."""
        return tuple(self.joints[joint] for joint in self.erosion.joints) if self.joints else ()

    def score(self, name: str) -> Score:
        """Return a score by its name.

        Raises:
            ValueError: The anatomy has none of that name.
        """
        for score in self.scores:
            if score.name == name:
                return score
        has = ", ".join(score.name for score in self.scores) or "none"
        raise ValueError(f"the anatomy {self.name} has no score {name!r}; its scores are {has}")

    def bone_index(self, name: str) -> int:
        """Return the channel of a bone, given by any of its spellings.

        Raises:
            KeyError: The name is unknown; the message lists the known names.
        """
        try:
            return self._bone_by_spelling[fold(name)]
        except KeyError:
            raise KeyError(f"unknown bone {name!r}; bones are {', '.join(self.bone_names)}") from None

    def joint_index(self, name: str) -> int:
        """Return the position of a joint surface, given by any of its spellings.

        Raises:
            KeyError: The name is unknown; the message lists the known names.
        """
        try:
            return self._joint_by_spelling[fold(name)]
        except KeyError:
            raise KeyError(f"unknown joint {name!r}; joints are {', '.join(self.joint_names)}") from None

    @cached_property
    def _bone_by_spelling(self) -> dict[str, int]:
        return {fold(text): bone.index for bone in self.bones for text in spellings(bone)}

    @cached_property
    def _joint_by_spelling(self) -> dict[str, int]:
        return {fold(text): joint.index for joint in self.joints for text in spellings(joint)}


def spellings(entry: Bone | JointSurface) -> Iterable[str]:
    """Return all names of a bone or a joint surface."""
    released = (entry.released,) if isinstance(entry, JointSurface) else ()
    return (entry.name, entry.display, *released, *entry.spellings)


def fold(text: str) -> str:
    """Return the letters and digits of a name in lower case, by which spellings are compared."""
    return "".join(character for character in text.lower() if character.isalnum())
