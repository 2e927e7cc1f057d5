"""Methods of a network for saving, publishing and loading, on top of `huggingface_hub.ModelHubMixin`.

The methods are thin: `jointwrist.weights`, which builds networks through the registry, is imported when one is called.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from huggingface_hub import ModelHubMixin

from jointwrist.errors import StorageError

if TYPE_CHECKING:
    from huggingface_hub import ModelCard


class PretrainedMixin(ModelHubMixin):
    """`huggingface_hub.ModelHubMixin` with the weight files of this package; its options keep their meaning.

    Attributes:
        info: Metadata of the weight file: at least `model`, the registry name, and `options`; sizes and thresholds of a
            trained network. `create_model` and `from_pretrained` set it. Without it a network cannot be saved, because
            nothing says how to build it again.
    """

    info: dict[str, Any] | None = None

    def __new__(cls, *args: Any, **kwargs: Any) -> Self:
        """Create an instance without the mixin's record of its arguments: `info` takes its place in the weight file."""
        return object.__new__(cls)

    @classmethod
    def from_pretrained(cls, source: str | Path, **download: Any) -> Self:
        """Load a network, on the CPU and in evaluation mode.

        The mixin's own method would request a `config.json` from the hub first, whatever the source is.

        Args:
            source: As for `jointwrist.weights.find.find_weights`.
            **download: `revision`, `token`, `cache_dir`, `force_download` and other options of `hf_hub_download`.

        Raises:
            DataError: There are no such weights, or they are of another kind of network.
        """
        from jointwrist.weights.hub import load_network

        return load_network(source, cls, **download)

    def push_to_hub(self, repo_id: str, *, model_card_kwargs: dict[str, Any] | None = None, **options: Any) -> str:
        """Publish weights and a model card that names the repository; return the address of the commit.

        Args:
            repo_id: Repository, such as "someone/wrist"; created if it does not exist.
            model_card_kwargs: As for `generate_model_card`.
            **options: Options of `huggingface_hub.ModelHubMixin.push_to_hub`, such as `private`, `token` and `branch`.
        """
        return super().push_to_hub(repo_id, model_card_kwargs={"name": repo_id} | (model_card_kwargs or {}), **options)

    def generate_model_card(self, name: str = "path/to/this/folder") -> ModelCard:
        """Return the model card of weights that `Predictor.from_pretrained` finds under a name."""
        from jointwrist.weights.hub import network_card

        return network_card(self.info, name)

    def save_pretrained(self, save_directory: str | Path, **options: Any) -> str | None:
        """Write weights and a model card into a folder, which is made if it is missing.

        Args:
            save_directory: The folder.
            **options: Options of `huggingface_hub.ModelHubMixin.save_pretrained`, such as `push_to_hub` and `repo_id`.

        Raises:
            StorageError: The folder is a file.
            ValueError: The network has no `info`.
        """
        if Path(save_directory).is_file():
            raise StorageError(f"{save_directory}: is a file; give the name of a folder")
        return super().save_pretrained(save_directory, **options)

    def _save_pretrained(self, save_directory: Path) -> None:
        from jointwrist.weights.hub import save_network

        save_network(self, self.info, save_directory)
