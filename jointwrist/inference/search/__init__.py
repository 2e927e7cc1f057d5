"""Find the wrists on a radiograph.

- `locate`: polarity, rotation, crop and side of each wrist.
- `localiser`, `candidates`: the search by a network, and the choice among what it finds.
- `mean_wrist`: landmarks of the bones, against which masks are checked.
"""
