"""Benchmark every stored model and print the key numbers, for cron on a machine without a Prefect server.

    python nightly.py nerbench.yaml

The exit status is 1 if a model failed or a gate rejects one.
"""

import sys

import nerbench


def main(config: str = "nerbench.yaml") -> int:
    """Run the benchmark of a configuration, and return the exit status."""
    try:
        results = nerbench.benchmark(config=config)
    except nerbench.NerbenchError as error:
        print(error, file=sys.stderr)
        return error.exit_status
    print(results.headline().to_string(index=False))
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
