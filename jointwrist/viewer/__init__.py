"""A page on this machine that shows radiographs with their bones and joints; `jointwrist view` opens it."""
