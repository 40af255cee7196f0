"""`python -m populace` is the command line too."""

from populace.cli import main

if __name__ == "__main__":
    main()
