"""Import RAM-H1200 (arXiv 2605.05616): whole hands with bone masks, erosion masks and scores.

`release` reads the folder, `leaks` finds radiographs shared by two splits, `lesions` assigns outlined erosions to joint
surfaces, and `convert` writes the dataset.
"""

from jointwrist.data.importers.ram_h1200.convert import Converted, convert

__all__ = ["Converted", "convert"]
