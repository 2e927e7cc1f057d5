"""Local web page that shows radiographs with their bones and joints; `jointwrist view` opens it."""
