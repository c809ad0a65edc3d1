"""`python -m nashgossip.runners` is the command `nashgossip`."""

__all__: list[str] = []

from .command import main

if __name__ == "__main__":
    main()
