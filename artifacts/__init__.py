"""Stores of published models, their manifests, lazy handles, and the result tables.

Nothing here imports `tasks`, `flows`, Prefect, torch or transformers, so that any program can read what nerbench wrote.

Read in this order: `manifest` (what an artifact is), `store` (where it is published), `references` (how a user names
one), `lazy_artifact` (how it is loaded on first use); then `tables.schemas` and `tables.tables`. Around the store:
`store_layout` (where it keeps what), `aliases` (names that move), `missing_files`, `garbage`, `manifest_diff`,
`lineage`; `model_folder` (what may be in one), `local_copies`, `cache_pruning`, `hub_models`. `unnamed_files` keeps
data on disk that would take much memory, and `scratch_folders` makes temporary folders. Below all of them, `storage`
owns every quirk of files and object stores.
"""
