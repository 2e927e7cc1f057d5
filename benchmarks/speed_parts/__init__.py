"""Parts of `python benchmarks/speed.py PART`, a module each.

Two of them have helpers: `build_probes` for builds, `scan_peers` for the scan.
"""
