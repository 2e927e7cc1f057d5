"""The benchmark as a library; its commands are in the folder `benchmarks` of the repository.

- `protocol`, `protocols/`: models, seeds and settings of a table, as YAML.
- `protocol_dataset`: the dataset of the jobs, released or phantom.
- `run_jobs`, `jobs`, `job_lock`, `records`: the jobs of a protocol, their execution, locks and records; `run_jobs`
  skips finished jobs, `jobs.run_job` resumes interrupted ones.
- `forecast`, `profile_step`, `peak_memory`, `machine`: time and memory of a step, and the machine it was measured on.
- `image_grid`: masks measured on the radiographs' own pixels.
- `tables`: tables from per-case results. `ablations`: plan, runs and tables of the ablations.
- `report`, `plots`: one page for a results folder, loss curves and overlays.
"""
