"""Parts of `python benchmarks/speed.py PART`, a module each.

Most use `measurements`; `build_probes` is for builds, and `scan_peers` for the scan.
"""
