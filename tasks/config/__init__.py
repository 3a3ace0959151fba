"""The configuration schema: one frozen model for the YAML file, the command-line options and Prefect's form.

`nerbench.tasks.configuration.configfile` loads the YAML file and turns validation errors into one-line messages.
"""

from nerbench.tasks.config.benchmark import BenchmarkConfig
from nerbench.tasks.config.cache import CacheConfig
from nerbench.tasks.config.card import CardConfig
from nerbench.tasks.config.datasets import FIELDS_OF, DatasetConfig, Format, GoldConfig
from nerbench.tasks.config.gate import GateConfig, GateRule
from nerbench.tasks.config.job import Config
from nerbench.tasks.config.metrics import EvaluateMetric
from nerbench.tasks.config.models import ModelConfig
from nerbench.tasks.config.runner import RunnerConfig
from nerbench.tasks.config.section import Dtype, Name, Section, SourceName, Split, Text
from nerbench.tasks.config.slices import SliceConfig
from nerbench.tasks.config.speed import SpeedConfig, SpeedGateConfig
from nerbench.tasks.config.splits import SplitConfig

__all__ = [
    "FIELDS_OF",
    "BenchmarkConfig",
    "CacheConfig",
    "CardConfig",
    "Config",
    "DatasetConfig",
    "Dtype",
    "EvaluateMetric",
    "Format",
    "GateConfig",
    "GateRule",
    "GoldConfig",
    "ModelConfig",
    "Name",
    "RunnerConfig",
    "Section",
    "SliceConfig",
    "SourceName",
    "SpeedConfig",
    "SpeedGateConfig",
    "Split",
    "SplitConfig",
    "Text",
]
