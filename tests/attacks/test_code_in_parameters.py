"""Parameters that name code: only code that the worker's environment allows can run."""

import ast
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from nerbench.artifacts.errors import CorpusError, InputError
from nerbench.flows.request import configuration
from nerbench.tasks.config import Config, DatasetConfig, EvaluateMetric, ModelConfig, SliceConfig
from nerbench.tasks.config.user_code import load_file, load_function
from nerbench.tasks.data.custom_loader import read_loader
from nerbench.tasks.scoring.benchmark_functions import collect, collect_functions
from nerbench.tasks.scoring.slices import user_slices

ROOT = Path(__file__).resolve().parents[2]
RAN = "import pathlib; pathlib.Path({!r}).touch()\n"


@pytest.fixture
def ran(folder: Path) -> Path:
    """The file that a successful attack creates."""
    return folder.parent / "it-ran"


@pytest.mark.parametrize(
    "loader",
    [
        "subprocess:check_output",
        "subprocess:Popen",
        "os:system",
        "posix:system",
        "builtins:eval",
        "builtins:exec",
        "runpy:run_path",
        "timeit:timeit",
        "code:interact",
        "pip:main",
        "yaml:unsafe_load",
        "torch:load",
        "pickle:loads",
        "nerbench.tasks.child_process:run_child",
        "nerbench.flows.cli:main",
        "nerbench.artifacts.storage.paths:write_whole",
    ],
)
def test_functions_of_python_packages_and_nerbench_are_refused(folder: Path, ran: Path, loader: str) -> None:
    options = {"shell": True} if loader.startswith("subprocess") else {}
    config = DatasetConfig(name="x", format="loader", loader=loader, options=options)
    with pytest.raises(CorpusError, match=r"the code that may be loaded .*export NERBENCH_CODE="):
        read_loader(config)
    with pytest.raises(InputError, match="the code that may be loaded"):
        user_slices([SliceConfig(name="x", function=loader)])


@pytest.mark.parametrize(
    "path",
    [
        "subprocess.check_output",
        "check_output",
        "system",
        "__builtins__",
        "load.__globals__.get",
        "load.__class__",
        "load.__code__.replace",
        "Tool.__init__.__globals__.__getitem__",
        "Tool.run",
        "__loader__.exec_module",
        "__spec__.loader.exec_module",
        "shell",
        "log.info",
    ],
)
@pytest.mark.parametrize("place", ["mine", "mine.py"])
def test_imports_of_an_allowed_file_are_not_allowed(folder: Path, place: str, path: str) -> None:
    (folder / "mine.py").write_text(
        "import logging, subprocess\nfrom functools import partial\nfrom os import system\n"
        "from subprocess import check_output\nlog = logging.getLogger()\nshell = partial(check_output, shell=True)\n"
        "class Base(subprocess.Popen): ...\nclass Tool(Base):\n    run = subprocess.Popen.wait\n"
        "def load(split): return []\n"
    )
    sys.modules.pop("mine", None)
    assert load_function(f"{place}:load")("test") == []
    with pytest.raises(InputError):
        load_function(f"{place}:{path}")
    sys.modules.pop("mine", None)


def outside(folder: Path) -> str:
    return str(folder.parent / "evil.py")


def climbing(folder: Path) -> str:
    return str(folder / "sub" / ".." / ".." / "evil.py")


def by_a_link(folder: Path) -> str:
    (folder / "innocent.py").symlink_to(folder.parent / "evil.py")
    return str(folder / "innocent.py")


def by_a_linked_folder(folder: Path) -> str:
    (folder / "lib").symlink_to(folder.parent, target_is_directory=True)
    return str(folder / "lib" / "evil.py")


def in_a_blob(folder: Path) -> str:
    blob = folder / "var" / "artifacts" / "blobs" / ("ab" * 32)
    blob.parent.mkdir(parents=True)
    blob.write_text((folder.parent / "evil.py").read_text())
    return str(blob)


def hidden(folder: Path) -> str:
    return copied(folder, folder / ".git" / "hooks" / "evil.py")


def in_a_virtual_environment(folder: Path) -> str:
    return copied(folder, folder / "venv" / "lib" / "python3.11" / "site-packages" / "evil.py")


def in_a_neighbour_with_the_same_beginning(folder: Path) -> str:
    return copied(folder, folder.with_name("work-of-another") / "evil.py")


def copied(folder: Path, to: Path) -> str:
    to.parent.mkdir(parents=True)
    to.write_text((folder.parent / "evil.py").read_text())
    return str(to)


@pytest.mark.parametrize(
    "attack",
    [
        *(outside, climbing, by_a_link, by_a_linked_folder, in_a_blob, hidden),
        *(in_a_virtual_environment, in_a_neighbour_with_the_same_beginning),
    ],
)
def test_a_file_outside_the_allowed_folders(folder: Path, ran: Path, attack: Callable[[Path], str]) -> None:
    (folder.parent / "evil.py").write_text(RAN.format(str(ran)) + "def f(x): ...\n")
    file = attack(folder)
    for load in (
        lambda: collect([file]),
        lambda: collect([EvaluateMetric(evaluate=file)]),
        lambda: collect_functions([file]),
        lambda: load_file(file),
        lambda: load_function(f"{file}:f"),
        lambda: user_slices([SliceConfig(name="x", function=f"{file}:f")]),
    ):
        with pytest.raises(InputError):
            load()
    assert not ran.exists()


def test_a_module_elsewhere_on_the_path_does_not_even_begin(
    folder: Path, ran: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    elsewhere = folder.parent / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "nerbench_evil.py").write_text(RAN.format(str(ran)) + "def load(split): ...\n")
    monkeypatch.syspath_prepend(str(elsewhere))
    with pytest.raises(InputError, match=r"it is found in .*elsewhere"):
        load_function("nerbench_evil:load")
    assert not ran.exists()


def test_a_module_hidden_by_another_one_is_refused(folder: Path) -> None:
    (folder / "statistics.py").write_text("def load(split): ...\n")
    with pytest.raises(InputError, match="it is found in"):
        load_function("statistics:load")


@pytest.mark.legitimate
def test_code_named_by_the_environment_is_allowed(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    other = folder.parent / "other"
    other.mkdir()
    (other / "nerbench_allowed.py").write_text("def load(split): return 3\n")
    (other / "evil.py").write_text("def f(): return 4\n")
    monkeypatch.setenv("NERBENCH_CODE", f"{other / 'nerbench_allowed.py'},collections.abc")
    assert load_function("nerbench_allowed:load")("x") == 3
    assert load_function("collections.abc:Sized")
    for refused in (f"{other / 'evil.py'}:f", "collections:OrderedDict", "collections.abcd:x"):
        with pytest.raises(InputError):
            load_function(refused)


def test_a_parameter_cannot_allow_more(folder: Path, started_by_api: None) -> None:
    (folder.parent / "evil.py").write_text("x = 1\n")
    (folder.parent / "evil.yaml").write_text("metrics: [evil.py]\n")
    with pytest.raises(InputError, match="NERBENCH_CODE"):
        configuration(str(folder.parent / "evil.yaml"), ())
    with pytest.raises(InputError, match="NERBENCH_CODE"):
        configuration(Config(metrics=(str(folder.parent / "evil.py"),)), ())


def test_a_published_blob_or_a_hidden_file_is_no_configuration(folder: Path, started_by_api: None) -> None:
    for name in ("var/artifacts/blobs/abab", "var/results/.cache/x.yaml"):
        file = folder / name
        file.parent.mkdir(parents=True)
        file.write_text("store: /elsewhere\n")
        with pytest.raises(InputError, match="is not a YAML file below"):
            configuration(str(file), ())


@pytest.mark.parametrize(
    "settings",
    [
        {"auto_map": {"AutoConfig": "evil--x.Y"}},
        {"_attn_implementation": "evil/kernel"},
        {"attn_implementation": "kernels-community/flash-attn"},
        {"quantization_config": {"quant_method": "x"}},
        {"text_config": {"_attn_implementation": "evil/kernel"}},
        {"experts_implementation": "evil/kernel"},
    ],
)
def test_a_models_settings_load_no_code(settings: dict[str, object]) -> None:
    for given in ({"base": "x", "config_overrides": settings}, {"base": {"model_type": "bert", **settings}}):
        with pytest.raises(ValueError, match="could load code"):
            ModelConfig.model_validate({"name": "a"} | given)


TRAINING = frozenset(
    "batch_tokens callbacks checkpoint_s compute_metrics device early_stopping epochs gradient_accumulation "
    "learning_rate max_length precision processes seed seeds time_limit_s train_share training_args vocabulary warmup "
    "weight_decay".split()
)
"""Arguments of the Trainer that parameters may set; docs/how-to/operate.md has the same list."""


def test_a_run_sets_only_listed_arguments_of_the_trainer() -> None:
    others = {"name", "dataset", "base", "revision", "config_overrides", "push_to_hub", "hub_model_id"}
    assert set(ModelConfig.model_fields) - others == TRAINING, "decide whether parameters may say that, and list it"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("report_to", "all"),
        ("push_to_hub", True),
        ("hub_model_id", "evil/x"),
        ("deepspeed", "/etc/passwd"),
        ("fsdp_config", "/etc/passwd"),
        ("accelerator_config", "/etc/passwd"),
        ("torch_compile_backend", "evil"),
        ("optim_args", "x=1"),
        ("resume_from_checkpoint", "/tmp/evil"),
        ("trackio_space_id", "evil/x"),
    ],
)
def test_a_run_sets_no_path_host_or_plugin_of_the_trainer(
    name: str, value: object, folder: Path, started_by_api: None
) -> None:
    model = ModelConfig(name="m", base={"model_type": "bert"}, training_args={name: value})
    with pytest.raises(InputError, match=f"training_args.{name}: cannot be set in the parameters of a run"):
        configuration(Config(models=(model,)), ())


def test_a_run_pushes_no_model_with_the_worker_s_token(folder: Path, started_by_api: None) -> None:
    model = ModelConfig(name="m", base={"model_type": "bert"}, push_to_hub=True, hub_model_id="evil/x")
    with pytest.raises(InputError, match="m: push_to_hub: cannot be set in the parameters of a run"):
        configuration(Config(models=(model,)), ())


@pytest.mark.parametrize("name", ["/tmp/evil.py:Callback", "subprocess:Popen"])
def test_a_run_names_no_callback_elsewhere(name: str, folder: Path, started_by_api: None) -> None:
    model = ModelConfig(name="m", base={"model_type": "bert"}, callbacks=(name,))

    def ask_and_load() -> None:
        (admitted,) = configuration(Config(models=(model,)), ()).models
        load_function(*admitted.callbacks)

    with pytest.raises(InputError, match="the code that may be loaded"):
        ask_and_load()


@pytest.mark.parametrize("script", ["/tmp/evil.py", "evaluate-metric/seqeval", "https://example.org/evil.py"])
def test_a_run_names_no_script_of_evaluate_elsewhere(script: str, folder: Path, started_by_api: None) -> None:
    with pytest.raises(InputError, match=r"the code that may be loaded|is not a Python file|there is no such file"):
        collect(configuration(Config(metrics=(EvaluateMetric(evaluate=script),)), ()).metrics)


LOADERS = {
    "tasks/config/user_code.py": "users' code, which permission.py allows",
    "tasks/data/readers.py": "our own readers, by a table",
    "flows/clone_check.py": "our own packages, by a constant",
    "flows/serve.py": "our own flows, by deployments/prefect.yaml",
    "tasks/results/tracking.py": "trackio or wandb: the schema admits no other name",
    "tasks/inference/processes.py": "our own functions, by a constant of the caller",
}
"""The only files that load code by name."""
BUILTINS = frozenset({"exec", "eval", "compile", "__import__"})
LOADING = frozenset(
    "import_module exec_module spec_from_file_location module_from_spec SourceFileLoader run_path run_module "
    "resolve_name locate import_object load_flow_from_entrypoint load_script_as_module".split()
)


def loads_code(file: Path) -> bool:
    calls = [node.func for node in ast.walk(ast.parse(file.read_text())) if isinstance(node, ast.Call)]
    plain = {function.id for function in calls if isinstance(function, ast.Name)}
    return bool(plain & (BUILTINS | LOADING) or LOADING & {f.attr for f in calls if isinstance(f, ast.Attribute)})


def trusts_remote_code(file: Path) -> bool:
    """Whether a file may set `trust_remote_code` to anything but False."""
    tree = ast.walk(ast.parse(file.read_text()))
    pairs = [(node.arg, node.value) for node in tree if isinstance(node, ast.keyword)]
    tree = ast.walk(ast.parse(file.read_text()))
    dicts = [zip(node.keys, node.values, strict=True) for node in tree if isinstance(node, ast.Dict)]
    pairs += [(getattr(key, "value", None), value) for items in dicts for key, value in items]
    return any(name == "trust_remote_code" and getattr(value, "value", None) is not False for name, value in pairs)


def test_nothing_else_loads_code_by_name() -> None:
    files = [file for top in ("artifacts", "deployments", "flows", "tasks") for file in (ROOT / top).rglob("*.py")]
    found = {str(file.relative_to(ROOT)) for file in files if loads_code(file)}
    assert found <= set(LOADERS), "let it call tasks.config.user_code, or say here why it need not"
    assert not [file for file in files if trusts_remote_code(file)]
