"""Choose the version of the plan that the tables show, and report progress of a newer one.

A table compares runs of one version only, among them earlier ones that it left unchanged. Runs of a new version are
kept from the start, but replace the older ones in a regime's tables only when all required runs of the regime (those of
the plan's `required` arms) are complete.
"""

from __future__ import annotations

from jointwrist.benchmark.ablations.kept_results import KeptResults
from jointwrist.benchmark.ablations.plan import Ablations


def shown_version(plan: Ablations, rows: KeptResults, regime: str) -> int:
    """Return the version that a regime's tables show.

    This is the plan's version as soon as all its required runs are finished. Until then, it is the earlier version with
    the most required runs or, without an earlier one, the plan's version although incomplete.
    """
    required = set(plan.runs([regime], list(plan.required), list(plan.seeds)))
    finished = {version: runs for version, runs in _finished(plan, rows, regime).items() if runs}
    if required <= finished.get(plan.version, set()):
        return plan.version
    earlier = {version: len(runs & required) for version, runs in finished.items() if version < plan.version}
    return max(earlier, key=lambda version: (earlier[version], version), default=plan.version)


def progress(plan: Ablations, rows: KeptResults, regime: str, shown: int) -> str:
    """Return a line that counts the finished runs of a version newer than the one shown; empty if there are none."""
    done = _finished(plan, rows, regime).get(plan.version, set())
    if shown == plan.version or not done:
        return ""
    planned, required = (set(plan.runs([regime], list(arms), list(plan.seeds))) for arms in (plan.arms, plan.required))
    return (
        f"Version {plan.version}: {len(done & planned)} of {len(planned)} runs done, {len(done & required)} of the"
        f" {len(required)} that must be complete before the table shows it."
    )


def _finished(plan: Ablations, rows: KeptResults, regime: str) -> dict[int, set[tuple[str, str, int]]]:
    """Finished runs (regime, arm, seed) of a regime, by version of the plan; unchanged ones belong to several."""
    runs = rows.runs[(rows.runs["regime"] == regime) & rows.runs["arm"].isin(plan.entries)]
    return {
        version: {
            (regime, entry["arm"], int(entry["seed"]))
            for run, entry in runs.iterrows()
            if rows.version(run) == plan.arm_version(entry["arm"], version)
        }
        for version in range(1, plan.version + 1)
    }
