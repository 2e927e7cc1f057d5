"""Studies on your own unlabelled radiographs: the size from which erosions are detected, and adaptation of weights."""
