"""`python -m streamsep`: the same as `streamsep`."""

from streamsep.cli.main import main

if __name__ == "__main__":
    main()
