"""What is kept: stores of published models, their manifests, lazy handles, and the result tables.

Nothing here imports `tasks`, `flows`, Prefect, torch or transformers, so that any program can read what nerbench wrote.

Read in this order: `manifest` (what an artifact is), `store` (where it is published), `references` (how a user names
one), `handle` (how it is loaded); then `results.schemas` and `results.tables`. Around the store: `layout` (where it
keeps what), `aliases` (names that move), `findings`, `garbage`, `difference`, `lineage` and `header` (what can be asked
of it), `folder` (what may be in a model folder). Below all of them `storage` owns every quirk of files, object stores
and the Hub.
"""
