"""Commands of the benchmark, run from a checkout; their library is `jointwrist.benchmark`."""
