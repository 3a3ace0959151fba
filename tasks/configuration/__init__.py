"""From a YAML file and flags to the checked configuration."""
