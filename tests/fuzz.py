"""Fuzz a reader with atheris: `python tests/fuzz.py dicom --minutes 5`, then the same with `npy`.

What the reader does not answer with a radiograph, an array or a `DataError` that names the file ends the run and stays
in the folder of findings; so does what takes more than the memory or the time allowed for a file.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import warnings
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["jointwrist.data", "pydicom", "numpy.lib"]):
    import bad_files
    import numpy as np

    from jointwrist.data.load import load_radiograph
    from jointwrist.data.numpy_files import read_npz
    from jointwrist.errors import DataError


def read_radiograph(path: Path) -> None:
    radiograph = load_radiograph(path)
    assert radiograph.pixels.ndim == 2 and np.isfinite(radiograph.pixels).all()


def read_arrays(path: Path) -> None:
    """Read an archive of arrays, or a radiograph in an array, as the first bytes tell."""
    if path.read_bytes()[:2] == b"PK":
        read_npz(path, ("eroded", "healthy"))
    else:
        read_radiograph(path)


#: Reader, name of the file, and endings of the sound files to begin with.
TARGETS = {
    "dicom": (read_radiograph, "radiograph.dcm", (".dcm",)),
    "npy": (read_arrays, "radiograph.npy", (".npy", ".npz")),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("target", choices=TARGETS)
    parser.add_argument("--minutes", type=float, default=5)
    parser.add_argument("--memory", type=int, default=2048, help="limit of the process in MB")
    parser.add_argument("--findings", type=Path, default=Path("results/fuzz"), help="folder")
    args = parser.parse_args()
    reader, name, endings = TARGETS[args.target]
    args.findings.mkdir(parents=True, exist_ok=True)
    warnings.simplefilter("ignore")
    with tempfile.TemporaryDirectory() as folder:
        path, seeds = Path(folder) / name, Path(folder) / "seeds"
        seeds.mkdir()
        for seed, make in bad_files.SOUND.items():
            if seed.endswith(endings):
                (seeds / seed).write_bytes(make())

        def read(content: bytes) -> None:
            path.write_bytes(content)
            try:
                reader(path)
            except DataError as error:
                assert name in str(error)

        limits = f"-max_total_time={60 * args.minutes:.0f} -rss_limit_mb={args.memory} -timeout=20 -max_len=32768"
        options = [*limits.split(), f"-artifact_prefix={args.findings}/{args.target}-", "-print_final_stats=1"]
        atheris.Setup([sys.argv[0], *options, str(seeds)], read)
        atheris.Fuzz()


if __name__ == "__main__":
    main()
