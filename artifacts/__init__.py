"""What is kept: stores of published models, their manifests, lazy handles, and the result tables.

Nothing here imports `tasks`, `flows`, Prefect, torch or transformers, so that any program can read what nerbench wrote.

Read in this order: `manifest` (what an artifact is), `store` (where it is published), `references` (how a user names
one), `handle` (how it is loaded); then `schemas` and `tables`. Around the store: `layout` (where it keeps what),
`aliases` (names that move), `transfers` (files on their way), `findings`, `garbage`, `difference`, `lineage` and
`header` (what can be asked of it). Below them: `filesystem`, `remote` and `s3` own every quirk of files and object
stores, `retries` says how often they are asked, `folder` what may be in a model folder, and `cache` keeps verified
local copies.
"""
