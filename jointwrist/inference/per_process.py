"""Objects that belong to the process that made them."""

from __future__ import annotations


class PerProcess:
    """Base of classes that hold sessions of onnxruntime or caches of threads, which cannot be pickled."""

    def __getstate__(self) -> None:
        raise TypeError("a Predictor cannot be pickled; make one in each process, as with the initializer of a pool")
