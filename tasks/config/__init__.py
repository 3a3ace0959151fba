"""The configuration: one frozen model behind the YAML file, the flags and Prefect's form.

`tasks.configuration.configfile` reads it from YAML and turns validation errors into single lines.
"""

from tasks.config.benchmark import BenchmarkConfig
from tasks.config.cache import CacheConfig
from tasks.config.card import CardConfig
from tasks.config.datasets import FIELDS_OF, DatasetConfig, Format, GoldConfig
from tasks.config.gate import GateConfig, GateRule
from tasks.config.job import Config
from tasks.config.models import ModelConfig
from tasks.config.runner import RunnerConfig
from tasks.config.section import Name, Precision, Section, Split, Text
from tasks.config.slices import SliceConfig
from tasks.config.speed import SpeedConfig, SpeedGateConfig

__all__ = [
    "FIELDS_OF",
    "BenchmarkConfig",
    "CacheConfig",
    "CardConfig",
    "Config",
    "DatasetConfig",
    "Format",
    "GateConfig",
    "GateRule",
    "GoldConfig",
    "ModelConfig",
    "Name",
    "Precision",
    "RunnerConfig",
    "Section",
    "SliceConfig",
    "SpeedConfig",
    "SpeedGateConfig",
    "Split",
    "Text",
]
