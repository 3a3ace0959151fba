"""Lists undocumented names of other packages that nerbench uses, and their methods that it overrides.

An upgrade may change any of them without notice. `test_borrowed` compares the list with the installed packages, and
finds names that the code uses and the list lacks. Prefer a public interface; if there is none, add a line here.
"""

from typing import NamedTuple

INTERNAL = (
    "prefect.context",
    "prefect.deployments.runner",
    "prefect.runner",
    "prefect.server",
    "prefect.types",
    "prefect.utilities",
    "transformers.activations",
    "transformers.integrations",
    "transformers.masking_utils",
    "transformers.trainer_callback",
    "torch.nn.attention.varlen",
    "torch.utils.flop_counter",
    "huggingface_hub.repocard",
    "s3fs.core",
)
"""Modules whose names are always listed, even public ones."""


class Borrowed(NamedTuple):
    """A name in another package."""

    name: str
    """The full dotted name."""
    takes: str | None = None
    """The names of its parameters, or the schema of an operator of torch; None if nerbench does not call it."""


BORROWED = (
    # Overridden methods: Trainer
    Borrowed("transformers.Trainer.get_train_dataloader", "self"),
    Borrowed("transformers.Trainer.evaluate", "self eval_dataset ignore_keys metric_key_prefix"),
    Borrowed("transformers.Trainer._save_rng_state", "self output_dir"),
    Borrowed("transformers.TrainerCallback.on_log", "self args state control kwargs"),
    Borrowed("transformers.TrainerCallback.on_train_begin", "self args state control kwargs"),
    Borrowed("transformers.TrainerCallback.on_step_end", "self args state control kwargs"),
    Borrowed("transformers.EarlyStoppingCallback.on_train_begin", "self args state control kwargs"),
    Borrowed("transformers.trainer_callback.ExportableState.state", "self"),
    # Prefect
    Borrowed("prefect.Task.__call__", "self args return_state wait_for kwargs"),
    Borrowed("prefect.Task.submit", "self args return_state wait_for kwargs"),
    Borrowed("prefect_ray.RayTaskRunner.submit", "self task parameters wait_for dependencies"),
    Borrowed("prefect.runner.Runner.handle_sigterm", "self args kwargs"),
    Borrowed("prefect.runner.Runner.__aenter__", "self"),
    Borrowed(
        "prefect.server.database.configurations.AioSqliteConfiguration.begin_transaction",
        "self session with_for_update",
    ),
    # typer: a group with a default command
    Borrowed("typer.core.TyperGroup.parse_args", "self ctx args"),
    # fsspec's local filesystem: exclusive, synced writes
    Borrowed("fsspec.implementations.local.LocalFileSystem.pipe_file", "self path value mode kwargs"),
    Borrowed("fsspec.implementations.local.LocalFileSystem._open", "self path mode block_size kwargs"),
    # torch
    Borrowed("torch.nn.Module.forward", "self input"),
    Borrowed("torch.nn.Dropout.forward", "self input"),
    Borrowed("torch.nn.Embedding.forward", "self input"),
    Borrowed("torch.utils.data.Dataset.__getitem__", "self index"),
    Borrowed("torch.utils.data.DataLoader.__iter__", "self"),
    # others
    Borrowed("evaluate.Metric._info", "self"),
    Borrowed("evaluate.Metric._compute", "self predictions references kwargs"),
    Borrowed("s3fs.S3FileSystem._cat_file", "self path version_id start end chunksize max_concurrency"),
    Borrowed("fsspec.callbacks.Callback.set_size", "self size"),
    Borrowed("fsspec.callbacks.Callback.relative_update", "self inc"),
    Borrowed("yaml.SafeLoader.compose_mapping_node", "self anchor"),
    Borrowed("yaml.SafeLoader.compose_node", "self parent index"),
    Borrowed("yaml.SafeLoader.flatten_mapping", "self node"),
    Borrowed("rich.console.RenderHook.process_renderables", "self renderables"),
    # Read and called: attention and linear layers
    Borrowed("transformers.PreTrainedConfig._attn_implementation"),
    Borrowed("transformers.PreTrainedModel.set_attn_implementation", "self attn_implementation allow_all_kernels"),
    Borrowed(
        "transformers.masking_utils.sdpa_mask",
        "batch_size q_length kv_length q_offset kv_offset mask_function attention_mask local_size "
        "allow_is_causal_skip allow_is_bidirectional_skip use_vmap device kwargs",
    ),
    Borrowed(
        "transformers.integrations.sdpa_attention.sdpa_attention_forward",
        "module query key value attention_mask dropout scaling is_causal position_bias cache kwargs",
    ),
    Borrowed("transformers.activations.GELUActivation", "use_gelu_python"),
    Borrowed(
        "torch.nn.attention.varlen.varlen_attn",
        "query key value cu_seq_q cu_seq_k max_q max_k return_aux scale window_size enable_gqa seqused_k block_table "
        "num_splits",
    ),
    Borrowed(
        "torch.ops.mkldnn._reorder_linear_weight",
        "mkldnn::_reorder_linear_weight(Tensor self, int? batch_size=None) -> Tensor Y",
    ),
    Borrowed(
        "torch.ops.mkldnn._linear_pointwise",
        "mkldnn::_linear_pointwise(Tensor X, Tensor W, Tensor? B, str attr, Scalar?[] scalars, str? algorithm) "
        "-> Tensor Y",
    ),
    Borrowed("torch.ops.onednn.qlinear_prepack", "onednn::qlinear_prepack(Tensor weight, int[]? x_shape) -> Tensor"),
    Borrowed(
        "torch.ops.onednn.qlinear_pointwise",
        "onednn::qlinear_pointwise(Tensor qx, float x_scale, int x_zero_point, Tensor qw, Tensor w_scale, "
        "Tensor w_zero_point, Tensor? bias, float output_scale, int output_zero_point, ScalarType? output_dtype, "
        "str post_op_name, Scalar?[] post_op_args, str post_op_algorithm) -> Tensor",
    ),
    Borrowed("torch.ops.aten.gelu_", 'aten::gelu_(Tensor(a!) self, *, str approximate="none") -> Tensor(a!)'),
    # training and measuring
    Borrowed("transformers.trainer_callback.ExportableState"),
    Borrowed("torch.utils.flop_counter.FlopCounterMode", "mods depth display custom_mapping"),
    # Prefect's contexts, runner and server
    Borrowed("prefect.context.FlowRunContext"),
    Borrowed("prefect.context.FlowRunContext.get", ""),
    Borrowed("prefect.context.refresh_global_settings_context", ""),
    Borrowed("prefect.utilities.annotations.quote", "value"),
    Borrowed(
        "prefect.runner.Runner",
        "name query_seconds prefetch_seconds heartbeat_seconds limit pause_on_shutdown webserver",
    ),
    Borrowed("prefect.runner.Runner.add_deployment", "self deployment"),
    Borrowed("prefect.runner._scheduled_run_poller"),  # a module, and the attribute that holds its class
    Borrowed("prefect.runner.Runner.start", "self run_once webserver"),
    Borrowed("prefect.deployments.runner.RunnerDeployment"),
    Borrowed("prefect.types.SecretDict"),
    Borrowed("prefect.types.entrypoint.EntrypointType.MODULE_PATH"),
    Borrowed("prefect.types.entrypoint.EntrypointType"),
    Borrowed("prefect.server.api.server.create_app", "settings ephemeral webserver_only final ignore_cache"),
    Borrowed("prefect.server.database.configurations.AioSqliteConfiguration"),
    Borrowed("prefect.server.database.dependencies.provide_database_interface", ""),
    Borrowed("prefect.server.database.dependencies.set_database_config", "database_config"),
    # others
    Borrowed("huggingface_hub.repocard.REGEX_YAML_BLOCK"),
    Borrowed("s3fs.S3FileSystem._call_s3", "self method akwarglist kwargs"),
    Borrowed("s3fs.core.S3_RETRYABLE_ERRORS"),
)
