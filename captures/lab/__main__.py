"""`python -m captures.lab`."""

from captures.lab.cli import main

if __name__ == "__main__":
    main()
