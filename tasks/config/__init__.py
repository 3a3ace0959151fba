"""The configuration schema: one frozen model for the YAML file, the command-line options and Prefect's form.

`nerbench.tasks.config.loading` loads the YAML file and turns validation errors into one-line messages.
"""

from nerbench.tasks.config.schema import Config
from nerbench.tasks.config.schema_base import (
    Dtype,
    InferenceBackend,
    InferenceDtype,
    Name,
    Section,
    SourceName,
    Split,
    Text,
)
from nerbench.tasks.config.schema_data import (
    FIELDS_OF,
    Column,
    DatasetConfig,
    EvaluateMetric,
    Format,
    GoldConfig,
    SliceConfig,
    SplitConfig,
)
from nerbench.tasks.config.schema_models import ModelConfig
from nerbench.tasks.config.schema_robustness import Perturbation, RobustnessConfig
from nerbench.tasks.config.schema_run import (
    BenchmarkConfig,
    CacheConfig,
    CardConfig,
    GateConfig,
    GateRule,
    RunnerConfig,
    SpeedConfig,
    SpeedGateConfig,
)
from nerbench.tasks.config.schema_taggers import TaggerConfig

__all__ = [
    "FIELDS_OF",
    "BenchmarkConfig",
    "CacheConfig",
    "CardConfig",
    "Column",
    "Config",
    "DatasetConfig",
    "Dtype",
    "EvaluateMetric",
    "Format",
    "GateConfig",
    "GateRule",
    "GoldConfig",
    "InferenceBackend",
    "InferenceDtype",
    "ModelConfig",
    "Name",
    "Perturbation",
    "RobustnessConfig",
    "RunnerConfig",
    "Section",
    "SliceConfig",
    "SourceName",
    "SpeedConfig",
    "SpeedGateConfig",
    "Split",
    "SplitConfig",
    "TaggerConfig",
    "Text",
]
