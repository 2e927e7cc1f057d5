"""Download RAM-W600 from the Hugging Face hub."""

from __future__ import annotations

from pathlib import Path

from jointwrist.errors import DataError

#: RAM-W600, CC BY 4.0, doi 10.57967/hf/5328.
REPOSITORY = "TokyoTechMagicYang/RAM-W600"


def download_dataset(root: str | Path, repo_id: str = REPOSITORY, revision: str | None = None) -> Path:
    """Download RAM-W600 (4.7 GB) with huggingface_hub; an interrupted download resumes where it stopped.

    Args:
        root: Folder to download to.
        repo_id: Dataset on the hub.
        revision: Commit, branch or tag; None for the newest.

    Returns:
        The folder.

    Raises:
        DataError: The hub cannot be reached or refuses; the message says what to do.
    """
    from huggingface_hub import HfApi, snapshot_download

    root = Path(root)
    try:
        # checked first: without a network `snapshot_download` accepts any existing folder as complete
        commit = HfApi().dataset_info(repo_id, revision=revision, timeout=30).sha
        snapshot_download(repo_id, repo_type="dataset", revision=commit, local_dir=root)
    except Exception as error:  # the hub's HTTP library, and with it the errors, differ between its versions
        raise DataError(
            f"{root}: {repo_id} could not be downloaded ({type(error).__name__}: {error}); check the network and run"
            f" this again, or get https://huggingface.co/datasets/{repo_id} elsewhere and copy it here"
        ) from error
    return root
