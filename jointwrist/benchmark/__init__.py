"""The benchmark as a library: protocols, jobs, tables and report; its commands stand in the folder `benchmarks`."""
