"""The plan of the ablations: arms, regimes, seeds and the order of the runs, read from a YAML file."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

from jointwrist.config import build, merge_trees, read_yaml
from jointwrist.engine.config.renamed_keys import current_keys
from jointwrist.engine.config.run_config import RunConfig
from jointwrist.engine.loop.trainer import BEST
from jointwrist.registry import model_spec


@dataclass(frozen=True)
class Arm:
    """One row of the table.

    Attributes:
        title: What distinguishes the arm.
        model: Registry name.
        reports: Tables in which the arm has figures.
        set: Values that differ from those of the joint network.
        after: Arm whose masks drive the erosion head (`joint.segmenter`).
        regimes: Regimes in which the arm is run; empty means all.
    """

    title: str
    model: str
    reports: tuple[Literal["segmentation", "erosion"], ...]
    set: dict[str, Any] = field(default_factory=dict)
    after: str = ""
    regimes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Retest:
    """A second test of an arm's weights, with other masks for the erosion head."""

    of: str
    title: str
    test_masks: str


@dataclass(frozen=True)
class Contrast:
    """A difference shown in addition to S1 minus every other arm."""

    arm: str
    minus: str


@dataclass(frozen=True)
class Version:
    """A change of the plan; results from before and after it are not compared.

    Attributes:
        change: What is different from the version before.
        unchanged: Arms whose training is the same as before, so that their earlier results remain valid.
    """

    change: str
    unchanged: tuple[str, ...] = ()


@dataclass(frozen=True)
class Regime:
    """A source of training wrists.

    Attributes:
        summary: One-line description.
        set: Values of every run.
        seeds: Number of the plan's seeds that are run; 0 means all.
    """

    summary: str
    set: dict[str, Any]
    seeds: int = 0


@dataclass(frozen=True)
class Ablations:
    """The whole plan, as benchmarks/ablations.yaml explains it."""

    name: str
    versions: tuple[Any, ...]
    phantom: dict[str, Any]
    seeds: tuple[int, ...]
    required: tuple[str, ...]
    defaults: dict[str, Any]
    regimes: dict[str, Any]
    tasks: dict[str, dict[str, Any]]
    arms: dict[str, Any]
    retests: dict[str, Any]
    contrasts: dict[str, Any]

    @property
    def version(self) -> int:
        """Number of the last version, counted from 1."""
        return len(self.versions)

    def arm_version(self, entry: str, version: int | None = None) -> int:
        """Version in which the training of an arm, or of the arm of a retest, last changed.

        Args:
            entry: Arm or retest.
            version: Version of the plan up to which changes count; None means the last.
        """
        arm = self.retests[entry].of if entry in self.retests else entry
        last = self.version if version is None else version
        while last > 1 and arm in self.versions[last - 1].unchanged:
            last -= 1
        return last

    @property
    def entries(self) -> dict[str, Any]:
        """Rows of the tables: arms, then retests."""
        return {**self.arms, **self.retests}

    @classmethod
    def load(cls, path: Path) -> Ablations:
        """Read a plan.

        Raises:
            ConfigError: The file cannot be read, or has unknown keys.
        """
        plan, source = build(cls, read_yaml(path)), str(path)
        regimes = {name: build(Regime, values, f"regimes.{name}.") for name, values in plan.regimes.items()}
        arms = {name: build(Arm, values, f"arms.{name}.") for name, values in plan.arms.items()}
        return replace(
            plan,
            versions=tuple(build(Version, value, f"versions.{n}.") for n, value in enumerate(plan.versions, 1)),
            defaults=current_keys(plan.defaults, source),
            tasks={name: current_keys(values, source) for name, values in plan.tasks.items()},
            regimes={name: replace(value, set=current_keys(value.set, source)) for name, value in regimes.items()},
            arms={name: replace(value, set=current_keys(value.set, source)) for name, value in arms.items()},
            retests={name: build(Retest, values, f"retests.{name}.") for name, values in plan.retests.items()},
            contrasts={name: build(Contrast, values, f"contrasts.{name}.") for name, values in plan.contrasts.items()},
        )

    def config(self, regime: str, arm: str, seed: int, results: Path) -> RunConfig:
        """Resolve one run: defaults <- task <- regime <- arm."""
        chosen = self.arms[arm]
        task = model_spec(chosen.model).task
        cascade = {"joint": {"segmenter": str(run_folder(results, regime, chosen.after, seed) / BEST)}}
        values = merge_trees(
            self.defaults,
            self.regimes[regime].set,
            self.tasks[task],
            chosen.set,
            cascade if chosen.after else {},
        )
        protocol = f"{self.name} {regime} v{self.arm_version(arm)}"
        identity = {"model": chosen.model, "task": task, "protocol": protocol, "seed": seed}
        return build(RunConfig, {**values, **identity})

    def runs(self, regimes: list[str], arms: list[str], seeds: list[int]) -> list[tuple[str, str, int]]:
        """List the runs in their order: required arms first, then seed by seed, arms in the order of the file."""
        unused = {
            (name, seed)
            for name, regime in self.regimes.items()
            for seed in (self.seeds[regime.seeds :] if regime.seeds else ())
        }
        return [
            (regime, arm, seed)
            for required in (True, False)
            for seed in seeds
            for regime in regimes
            for arm in arms
            if (arm in self.required) == required
            and regime in (self.arms[arm].regimes or self.regimes)
            and (regime, seed) not in unused
        ]


def run_folder(results: Path, regime: str, arm: str, seed: int) -> Path:
    """Folder of a run."""
    return results / "runs" / f"{regime}-{arm}-{seed}"


def title_of(plan: Ablations, arm: str) -> str:
    """Title of an arm, followed by its model unless that is the joint network."""
    entry = plan.entries[arm]
    model = getattr(entry, "model", "jointwrist_tiny")
    return entry.title if model == "jointwrist_tiny" else f"{entry.title}, `{model}`"
