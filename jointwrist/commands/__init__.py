"""The commands, one file each: arguments, and the function that runs them.

Each imports what it needs only when it runs, so that `jointwrist --help` is quick. Several of them use:

- `options`, `run_values`: options, and values of a run configuration.
- `messages`, `tally`: what is printed; progress and refusals of a run over many radiographs.
- `in_order`, `result_writer`, `output_names`: several radiographs at once, their files, and the names of these.
- `earlier_results`: results of an earlier run whose radiograph is refused now.
- `prepared_radiographs`: radiographs into which erosions can be inserted.
"""
