"""`python -m nerbench` is the command `nerbench`."""

from nerbench.flows.cli import main

if __name__ == "__main__":
    main()
